"""N processes are one process with the whole batch: draws, gradients, weights, stops, galleries."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.schema import Config, override
from simvtp.data.from_config import build_train_loader, pretraining_corpus, tokenizer_of
from simvtp.data.train_loader import ClipReader
from simvtp.distributed.collectives import all_gather_with_grad, all_to_all
from simvtp.distributed.process_group import decide, mean, owned, rank, rows_of, share, size, started_as, whole_batch
from simvtp.errors import ConfigError, DataError
from simvtp.evaluation.encode import Look, encode_gallery, encode_videos, gallery, shuffled
from simvtp.models.build import fresh_model
from simvtp.models.objectives import Pretraining
from simvtp.pretrain import masked, pretrain
from simvtp.run import run
from simvtp.runtime.locks import Busy, Lock
from simvtp.runtime.signals import Interrupted, stoppable
from simvtp.training.load import dual_encoder
from simvtp.training.parallelize import whole, wrap_model
from simvtp.training.trainer import Trainer
from tests.simvtp.processes import together


def config_of(changes: dict[str, str]) -> Config:
    return override(preset("tiny"), changes)


def gradient(changes: dict[str, str], step: int) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Of the sum of the four losses at the first weights, with the batch and masks of a step."""
    config = config_of(changes)
    tokenizer, cpu = tokenizer_of(config), torch.device("cpu")
    model = fresh_model(config, tokenizer)
    forward = wrap_model(Pretraining(model, config), config.machine, cpu)
    batch = next(build_train_loader(config, "pretrain", pretraining_corpus(config), tokenizer).batches(step))
    actual = forward(masked(batch, config, tokenizer, step, cpu))
    torch.stack(list(actual.values())).sum().backward()
    grads = {n: whole(p.grad) for n, p in model.named_parameters() if p.grad is not None}
    return grads, mean(actual)


# at 15% some processes have many masked words and some few: a mean of means would be another loss
PLAIN = {"mask.text": "0.15", "model.text_mean": "padded"}
AXES = {"mask.words": "dropped", "mask.decoded": "0.5", "objective.contrast": "clean", "objective.negatives": "hard",
        "objective.learn_temperature": "on", "pretrain.group": "4"}  # fmt: skip


def gradients(settings: list[dict[str, str]], step: int) -> list[tuple[dict[str, Tensor], dict[str, float]]]:
    return [gradient(changes, step) for changes in settings]


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_the_gradient_is_that_of_one_process_with_the_whole_batch(
    quick: dict[str, str], tmp_path: Path, count: int
) -> None:
    settings = [{**quick, **PLAIN}, {**quick, **AXES}]
    sharded = [{**changes, "machine.shard": "on"} for changes in settings]
    recomputed = [{**changes, "machine.checkpointing": "on"} for changes in (*settings, *sharded)]
    wanted = gradients(settings, 3) * 4
    for answer in together(count, tmp_path, gradients, settings + sharded + recomputed, 3):
        for (grads, losses), (right_grads, right_losses) in zip(answer, wanted, strict=True):
            assert losses == pytest.approx(right_losses, rel=1e-5)
            assert grads.keys() == right_grads.keys()
            for name, grad in right_grads.items():
                # 2e-6 was seen, and 2e-5 in encoder.norm.bias, where large gradients of the contrast cancel
                assert (grads[name] - grad).norm() <= 5e-5 * grad.norm(), name


def whole_run(changes: dict[str, str], results: Path) -> str:
    return str(run(Experiment(config_of(changes), "tiny", results)))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "shard"), [(2, "off"), (4, "off"), (2, "on")])
def test_a_run_of_several_processes_is_the_run_of_one(
    quick: dict[str, str], tmp_path: Path, count: int, shard: str
) -> None:
    changes = {**quick, "pretrain.length": "20 steps", "pretrain.accumulate": "2", "finetune.ema": "0.9"}
    one = Path(whole_run(changes, tmp_path / "one"))
    paths = together(count, tmp_path, whole_run, {**changes, "machine.shard": shard}, tmp_path / "several")
    assert len(set(paths)) == 1
    assert_same_weights(tmp_path / "one", tmp_path / "several")
    wanted, content = json.loads(one.read_text()), json.loads(Path(paths[0]).read_text())
    assert content["ranks"] == wanted["ranks"]
    assert content["controls"] == wanted["controls"]
    assert content["losses"] == pytest.approx(wanted["losses"], rel=1e-5)
    assert content["cost"]["devices"] == count
    for path in (tmp_path / "one").rglob("log.jsonl"):  # written once, not once a process
        twin = tmp_path / "several" / path.relative_to(tmp_path / "one")
        assert len(twin.read_text().splitlines()) == len(path.read_text().splitlines())
    assert not list((tmp_path / "several").rglob("lock*"))


def assert_same_weights(one: Path, other: Path) -> None:
    """Each tensor to 2e-4 of its norm: where a gradient is rounding noise, AdamW makes steps of it (6e-5 was seen)."""
    paths = list(one.rglob("*.safetensors"))
    assert paths
    for path in paths:
        wanted = safetensors.torch.load_file(path)
        actual = safetensors.torch.load_file(other / path.relative_to(one))
        assert actual.keys() == wanted.keys()
        for name, tensor in wanted.items():
            assert (actual[name] - tensor).norm() <= 2e-4 * tensor.norm(), (path.name, name)


def interrupted_pretraining(changes: dict[str, str], results: Path, step: int) -> tuple[str, int]:
    """SIGTERM to the last process alone, after that step."""
    inner = Trainer._note

    def note(self: Trainer, *rest: Any) -> None:
        inner(self, *rest)
        if self.step == step and rank() == size() - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    Trainer._note = note  # type: ignore[method-assign]  # in its own process
    with stoppable(), pytest.raises(Interrupted) as stopped:
        pretrain(Experiment(config_of(changes), "tiny", results))
    return str(stopped.value), stopped.value.signal


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["off", "on"])
def test_a_signal_to_one_stops_all_and_another_number_goes_on(
    quick: dict[str, str], tmp_path: Path, shard: str
) -> None:
    changes = {**quick, "pretrain.ema": "0.5"}
    pretrain(Experiment(config_of(changes), "tiny", tmp_path / "whole"))
    answers = together(2, tmp_path, interrupted_pretraining, {**changes, "machine.shard": shard}, tmp_path / "cut", 5)
    assert answers == [("pretrain stopped after step 5 of 8", signal.SIGTERM)] * 2
    pretrain(Experiment(config_of(changes), "tiny", tmp_path / "cut"))
    assert_same_weights(tmp_path / "whole", tmp_path / "cut")


def small_matters(changes: dict[str, str], results: Path) -> dict[str, Any]:
    """What needs several processes, but no training."""
    collected: dict[str, Any] = {}
    rows = torch.arange(6.0).view(3, 2).add(10 * rank()).requires_grad_()
    weights = torch.arange(1.0, 7.0)
    # each process: the whole sum, its gradient; mean over processes: that of the sum itself
    gathered = all_gather_with_grad(rows)
    (gathered[:, 0] * weights).sum().backward()
    collected["gathered"], collected["gather gradient"] = gathered.tolist(), rows.grad.tolist()  # type: ignore[union-attr]
    rows.grad = None
    taken = all_to_all(rows, torch.tensor([5, 0, 4, 0, 0, 2]))
    (taken[:, 1] * torch.tensor([1.0, 10.0, 100.0]) * (1 + rank())).sum().backward()
    collected["taken"], collected["take gradient"] = taken[:, 0].tolist(), rows.grad[:, 1].tolist()
    collected["decided"] = decide(lambda: f"by process {rank()}")
    collected["mean"] = mean({"a": torch.tensor(1.0 + rank())})
    collected["share"] = list(share(5))
    own = torch.full((2, 2 + rank()), 7 + rank())
    collected["whole batch"] = [part.tolist() for part in whole_batch(own, 2, 3, 0)]
    with pytest.raises(DataError, match="only the leader looks"):
        decide(lambda: fail() if rank() == 0 else None)
    with pytest.raises(ConfigError, match=r"pretrain.batch: 17 rows in pretrain.accumulate 1 parts"):
        pretrain(Experiment(config_of({**changes, "pretrain.batch": "17"}), "tiny", results))
    with pytest.raises(Busy, match="in use by"), owned(results / "held"):
        pass
    return collected


def fail() -> None:
    raise DataError("only the leader looks")


def test_what_two_processes_say_to_each_other(quick: dict[str, str], tmp_path: Path) -> None:
    with Lock(tmp_path / "held"):
        first, second = together(2, tmp_path, small_matters, quick, tmp_path)
    everything = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [10.0, 11.0], [12.0, 13.0], [14.0, 15.0]]
    assert first["gathered"] == second["gathered"] == everything
    assert first["gather gradient"] == [[2.0, 0.0], [4.0, 0.0], [6.0, 0.0]]  # twice 1, 2, 3: two losses, then halved
    assert second["gather gradient"] == [[8.0, 0.0], [10.0, 0.0], [12.0, 0.0]]
    assert first["taken"] == [14.0, 0.0, 12.0]
    assert second["taken"] == [0.0, 0.0, 4.0]
    assert first["take gradient"] == [10.0 + 2.0 + 20.0, 0.0, 200.0]
    assert second["take gradient"] == [0.0, 100.0, 1.0]
    assert first["decided"] == second["decided"] == "by process 0"
    assert first["mean"] == second["mean"] == {"a": 1.5}
    assert (first["share"], second["share"]) == ([0, 1], [2, 3, 4])
    assert first["whole batch"] == [[[7, 7, 0]] * 2, [[7, 7, 0], [8, 8, 8], [7, 7, 0], [8, 8, 8]]]
    assert second["whole batch"][0] == [[8, 8, 8]] * 2


def broken_batches(changes: dict[str, str]) -> tuple[list[str], Tensor, int, str]:
    """Ids, captions of all and count of replaced samples of a batch with one broken video, and the error of a limit."""
    config = config_of(changes)
    loader = build_train_loader(config, "pretrain", pretraining_corpus(config), tokenizer_of(config))
    broken, read = loader._order.epoch(0).order[12], ClipReader.read  # row 12 of 16: the second process's

    def fail_once(self: ClipReader, index: int, *rest: Any) -> Any:
        if index == broken:
            raise DataError("torn.mp4 cannot be decoded")
        return read(self, index, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClipReader, "read", fail_once)
        loader.failures = 0.5
        batch = next(loader.batches(0))
        loader.failures = 0.01
        with pytest.raises(DataError) as error:
            next(loader.batches(0))
    return batch.ids, batch.all_words, loader.replaced, str(error.value)


def test_a_broken_video_of_one_process_is_known_to_all(quick: dict[str, str], tmp_path: Path) -> None:
    ids, words, replaced, said = broken_batches(quick)
    assert replaced == 2
    first, second = together(2, tmp_path, broken_batches, quick)
    assert first[0] + second[0] == ids
    for answer in (first, second):
        assert torch.equal(answer[1], words)
        assert answer[2:] == (replaced, said)
    assert "1 of 96 videos cannot be decoded" in said


def encoded(changes: dict[str, str]) -> tuple[Tensor, Tensor, Tensor]:
    config, cpu = config_of(changes), torch.device("cpu")
    tokenizer = tokenizer_of(config)
    model, test = (
        dual_encoder(Experiment(config, "tiny", Path("nowhere")), tokenizer),
        gallery(config, tokenizer, "test", views=False),
    )
    return *encode_gallery(model, test, config, cpu), *encode_videos([Look(model, shuffled(3))], test, config, cpu)


def test_a_gallery_is_encoded_once_whatever_the_number_of_processes(quick: dict[str, str], tmp_path: Path) -> None:
    changes = {**quick, "pretrain.length": "0 steps"}
    wanted = encoded(changes)
    for answer in together(3, tmp_path, encoded, changes):  # 16 videos: 5, 5 and 6
        for actual, whole_gallery in zip(answer, wanted, strict=True):
            assert actual.shape == whole_gallery.shape
            assert torch.allclose(actual, whole_gallery, atol=1e-6)


def test_one_process_has_every_row() -> None:
    assert rows_of(8, 2, 0) == list(range(8))
    assert started_as({}) == {}


def test_how_processes_are_started() -> None:
    torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "5"}
    assert started_as({**torchrun, "SLURM_STEP_NUM_TASKS": "9"}) == torchrun
    assert started_as({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}) == {}  # a script without srun
    with pytest.raises(ConfigError, match="MASTER_ADDR is not"):
        started_as({"RANK": "3", "WORLD_SIZE": "4"})
    for name, value in {"RANK": "abc", "WORLD_SIZE": "-2", "LOCAL_RANK": "", "MASTER_PORT": "x"}.items():
        with pytest.raises(ConfigError, match=f"{name}='{value}' in the environment is no number"):
            started_as({**torchrun, name: value})
    with pytest.raises(ConfigError, match="RANK=4 and WORLD_SIZE=4"):
        started_as({**torchrun, "RANK": "4"})


@pytest.mark.parametrize("starter", ["srun", "submitit"])
def test_tasks_of_slurm(monkeypatch: pytest.MonkeyPatch, starter: str) -> None:
    slurm = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "6", "SLURM_PROCID": "4", "SLURM_LOCALID": "1", "SLURM_NNODES": "2",
             "SLURM_JOB_NODELIST": "gpu[08-09]"}  # fmt: skip
    slurm |= {"SUBMITIT_EXECUTOR": "slurm"} if starter == "submitit" else {"SLURM_STEP_NUM_TASKS": "6"}
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    actual = started_as(slurm)
    assert actual.pop("MASTER_PORT") == started_as({**slurm, "SLURM_PROCID": "5"})["MASTER_PORT"]
    assert actual == {"RANK": "4", "WORLD_SIZE": "6", "LOCAL_RANK": "1", "MASTER_ADDR": "gpu08"}
