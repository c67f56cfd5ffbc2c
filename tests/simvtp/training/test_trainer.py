"""The loop: schedule, parameter groups, and resumes that continue exactly."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.errors import NotFinite
from simvtp.finetune import finetune
from simvtp.models.dual_encoder import DualEncoder
from simvtp.models.simvtp import SimVTPModel
from simvtp.pretrain import pretrain
from simvtp.runtime.signals import Interrupted, stoppable
from simvtp.training.optimizer import learning_rate, make_optimizer
from simvtp.training.trainer import Trainer


def test_learning_rate_literal() -> None:
    stage = preset("base").pretrain  # batch 1024: peak 6e-4, end 4e-5
    assert learning_rate(0, 1000, 100, stage) == 0
    assert learning_rate(50, 1000, 100, stage) == pytest.approx(3e-4)
    assert learning_rate(100, 1000, 100, stage) == pytest.approx(6e-4)
    assert learning_rate(550, 1000, 100, stage) == pytest.approx((6e-4 + 4e-5) / 2)
    assert learning_rate(1000, 1000, 100, stage) == pytest.approx(4e-5)
    tuning = preset("base").finetune  # batch 64: peak 7.5e-5, end 2.5e-7
    assert learning_rate(0, 1000, 50, tuning) == 0
    assert learning_rate(50, 1000, 50, tuning) == pytest.approx(7.5e-5)
    assert learning_rate(525, 1000, 50, tuning) == pytest.approx((7.5e-5 + 2.5e-7) / 2)
    assert learning_rate(1000, 1000, 50, tuning) == pytest.approx(2.5e-7)
    unscaled = override(preset("base"), {"pretrain.lr_start": 1e-6}).pretrain
    assert learning_rate(50, 1000, 100, unscaled) == pytest.approx((1e-6 + 6e-4) / 2)


def test_in_base_every_parameter_has_the_rate_of_the_stage() -> None:
    """The release sets a layer decay of 0.75, and its names reach no parameter."""
    base = preset("base")
    config = override(preset("tiny"), {"finetune.layer_decay": base.finetune.layer_decay})
    groups = make_optimizer(DualEncoder(SimVTPModel(config, 20), config), base.finetune).param_groups
    assert {group["lr_scale"] for group in groups} == {1.0}
    assert {group["weight_decay"] for group in groups} == {0.0, 0.05}
    assert {group["betas"] for group in groups} == {(0.9, 0.999)}


def test_layer_decay_and_what_does_not_decay() -> None:
    config = override(preset("tiny"), {"finetune.layer_decay": 0.5, "model.depth": 2})
    model = SimVTPModel(config, 20)
    dual = DualEncoder(model, config)
    names = {id(parameter): name for name, parameter in dual.named_parameters()}
    collected = {
        names[id(parameter)]: (group["lr_scale"], group["weight_decay"])
        for group in make_optimizer(dual, config.finetune).param_groups
        for parameter in group["params"]
    }
    assert collected["tubes.proj.weight"] == (0.125, 0.05)
    assert collected["words.word.weight"] == (0.125, 0.05)
    assert collected["video_encoder.blocks.0.fc1.weight"] == (0.25, 0.05)
    assert collected["text_encoder.blocks.1.fc1.weight"] == (0.5, 0.05)
    assert collected["text_encoder.blocks.1.fc1.bias"] == (0.5, 0.0)
    assert collected["video_norm.weight"] == (1.0, 0.0)
    scales = {group["lr_scale"] for group in make_optimizer(model, config.pretrain).param_groups}
    assert scales == {1.0}


def interrupt_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send SIGTERM to this process once that step of a stage is done, as SLURM would."""
    inner = Trainer._note

    def note(self: Trainer, *rest: Any) -> None:
        inner(self, *rest)
        if self.step == step:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Trainer, "_note", note)


HARDER = {
    "model.dropout": "0.2",
    "finetune.drop_path": "0.2",
    "pretrain.accumulate": "2",
    "pretrain.crop": "multiscale",
}


def test_interrupted_stages_give_bit_identical_weights_and_logs(
    quick: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = override(preset("tiny"), {**quick, **HARDER})
    for name in ("whole", "cut"):
        for stage in (pretrain, finetune):
            if name == "cut":
                with monkeypatch.context() as patch:
                    interrupt_after(5, patch)
                    with stoppable(), pytest.raises(Interrupted, match="step 5 of"):
                        stage(Experiment(config, "tiny", tmp_path / name))
            stage(Experiment(config, "tiny", tmp_path / name))
    assert [p.name for p in (tmp_path / "cut").rglob("*.safetensors")] != []
    for path in (tmp_path / "whole").rglob("*.safetensors"):
        twin = tmp_path / "cut" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == twin.read_bytes(), path.name
    for path in (tmp_path / "whole").rglob("log.jsonl"):
        twin = tmp_path / "cut" / path.relative_to(tmp_path / "whole")
        assert lines(path) == lines(twin)


def lines(path: Path) -> list[dict[str, Any]]:
    """A log without its clocks."""
    clocks = ("time", "samples_per_second", "seconds_left")
    return [{k: v for k, v in json.loads(line).items() if k not in clocks} for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_kill_9_and_the_same_command_again(quick: dict[str, str], tmp_path: Path) -> None:
    changes = {**quick, "pretrain.length": "120 steps", "machine.checkpoint_seconds": "0.1"}
    words = [f"--set={key}={value}" for key, value in changes.items()]
    command = [sys.executable, "-m", "simvtp.pretrain", *words, "--results"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    cut = subprocess.Popen([*command, str(tmp_path / "cut")], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not list((tmp_path / "cut").rglob("step-*.pt")) and time.monotonic() < until:
        time.sleep(0.02)
    cut.kill()
    cut.wait()
    assert not list((tmp_path / "cut").rglob("weights.safetensors"))
    subprocess.run([*command, str(tmp_path / "cut")], check=True, capture_output=True)
    first, second = (next((tmp_path / name).rglob("weights.safetensors")).read_bytes() for name in ("whole", "cut"))
    assert first == second


@pytest.mark.slow
def test_closing_the_terminal_leaves_a_checkpoint(quick: dict[str, str], tmp_path: Path) -> None:
    changes = {**quick, "pretrain.length": "100000 steps", "machine.checkpoint_seconds": "1000"}
    words = [f"--set={key}={value}" for key, value in changes.items()]
    command = [sys.executable, "-m", "simvtp.pretrain", *words, "--results", str(tmp_path)]
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, command)
    until = time.monotonic() + 90
    while not list(tmp_path.rglob("log.jsonl")) and time.monotonic() < until:
        if select.select([terminal], [], [], 0.1)[0]:
            os.read(terminal, 10_000)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 130
    assert len(list(tmp_path.rglob("step-*.pt"))) == 1
    assert not list(tmp_path.rglob("lock*"))


def test_sigterm_ends_the_command_with_130_and_a_checkpoint(quick: dict[str, str], tmp_path: Path) -> None:
    changes = {**quick, "pretrain.length": "100000 steps", "machine.checkpoint_seconds": "0.1"}
    words = [f"--set={key}={value}" for key, value in changes.items()]
    command = [sys.executable, "-m", "simvtp.pretrain", *words, "--results", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not list(tmp_path.rglob("step-*.pt")) and time.monotonic() < until:
        time.sleep(0.02)
    process.terminate()
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    stopped = re.search(r"pretrain stopped after step (\d+) of 100000; the same command continues from there", said)
    assert stopped is not None, said
    assert max(tmp_path.rglob("step-*.pt")).name == f"step-{int(stopped[1]):09d}.pt"
    assert not list(tmp_path.rglob("lock*"))


def test_a_loss_that_is_no_number_stops_training(
    quick: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simvtp.models.objectives.matching_loss", lambda matched, _: matched.sum() * float("nan"))
    with pytest.raises(NotFinite, match=r"pretrain: a loss is not finite at step 1.*pretrain\.lr"):
        pretrain(Experiment(override(preset("tiny"), quick), "tiny", tmp_path))


def test_signals_are_handed_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_global_random_state_is_left_alone(quick: dict[str, str], tmp_path: Path) -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    pretrain(Experiment(override(preset("tiny"), {**quick, "pretrain.length": "1 steps"}), "tiny", tmp_path))
    assert torch.equal(torch.random.get_rng_state(), state)
