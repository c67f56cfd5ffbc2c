"""Stage 2: fine-tuning of two encoders for retrieval. `python -m simvtp.finetune --preset tiny --set key=value`.

The epoch is chosen on the validation gallery; the test gallery is not looked at here.
"""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor, nn

from simvtp.cli import Parser, add_config_arguments, main
from simvtp.config.experiment import Experiment
from simvtp.config.formats import steps_of
from simvtp.config.schema import Config
from simvtp.data.from_config import build_train_loader, retrieval_corpus, tokenizer_of
from simvtp.data.resolve import experiment_from
from simvtp.data.train_loader import Batch
from simvtp.distributed.collectives import all_gather_with_grad
from simvtp.distributed.device_copy import copy_to_device
from simvtp.distributed.process_group import decide, joined, leads, owned, size
from simvtp.evaluation.encode import encode_gallery, gallery
from simvtp.evaluation.metrics import both_directions
from simvtp.models.dual_encoder import DualEncoder
from simvtp.models.objectives import contrastive_loss
from simvtp.runtime.files import read_json, write_json
from simvtp.runtime.signals import stoppable
from simvtp.training.checkpoint import clear_states, save_weights
from simvtp.training.device import use_machine, warn_of_slow_bf16
from simvtp.training.load import dual_encoder
from simvtp.training.trainer import Trainer

log = logging.getLogger(__name__)


def finetune(experiment: Experiment) -> Path:
    """The run folder with finetuned.safetensors (chosen epoch), last.safetensors and finetuned.json in it.

    Raises ConfigError where the pre-training stage is not done, locks.Busy, signals.Interrupted.
    """
    folder = experiment.dir
    if not decide(lambda: experiment.is_done("finetune")):
        with owned(folder / "lock"):
            if not decide(lambda: experiment.is_done("finetune", is_locked=True)):
                _train(experiment)
    return folder


class Finetuning(nn.Module):
    """Two encoders and their contrast over the rows of all processes, or in groups of them, as one forward."""

    def __init__(self, model: DualEncoder, config: Config) -> None:
        super().__init__()
        self.model, self.fixed, self.group = model, config.objective.temperature, config.finetune.group

    def forward(self, video: Tensor, words: Tensor, present: Tensor) -> dict[str, Tensor]:
        temperature = self.fixed if self.model.temperature is None else self.model.temperature()
        videos = all_gather_with_grad(self.model.encode_video(video))
        texts = all_gather_with_grad(self.model.encode_text(words, present))
        return {"vtc": contrastive_loss(videos, texts, temperature, self.group)}


def _train(experiment: Experiment) -> None:
    config, folder = experiment.config, experiment.dir
    decide(lambda: experiment.begin("finetune"))
    device = use_machine(config.machine)
    tokenizer = tokenizer_of(config)
    corpus, validation = retrieval_corpus(config, "train"), gallery(config, tokenizer, "val", views=False)
    stage, model = config.finetune, dual_encoder(experiment, tokenizer).to(device)
    warn_of_slow_bf16("finetune", stage, device)
    loader = build_train_loader(config, "finetune", corpus, tokenizer, device)
    steps = steps_of(stage.length, loader.steps_per_epoch)
    trainer = Trainer(
        name="finetune", model=model, objective=Finetuning(model, config), optimisation=stage, steps=steps,
        warmup=steps_of(stage.warmup, loader.steps_per_epoch), weights={"vtc": 1.0}, seed=config.seed,
        folder=folder, machine=config.machine, device=device,
    )  # fmt: skip

    def prepare(batch: Batch, draw: int) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ARG001  (no masks in fine-tuning)
        words = copy_to_device(batch.words, device)
        return copy_to_device(batch.video, device), words, words != tokenizer.pad

    def validate(trainer: Trainer) -> None:
        every = loader.steps_per_epoch * config.evaluate.every
        if trainer.step % every and trainer.step != steps:
            return
        trained = trainer.wrapped.export_model()
        assert isinstance(trained, DualEncoder)
        found = both_directions(
            *encode_gallery(trained, validation, config, device), validation.owner, validation.absent
        )
        score = found.metrics["text_to_video"]["R@1"]
        epoch = round(trainer.step / loader.steps_per_epoch, 3)
        trainer.log.write(stage="validation", of="finetune", step=trainer.step, epoch=epoch, **{"R@1": score})
        # Mean rank decides between epochs of equal R@1; of two equal epochs the earlier one stays.
        rank = found.metrics["text_to_video"]["MnR"]
        best = trainer.memory.get("best")
        if best is None or (score, -rank) > (best["score"], -best["rank"]):
            weights = {name: tensor.detach().clone() for name, tensor in trained.state_dict().items()}
            trainer.memory["best"] = {"score": score, "rank": rank, "epoch": epoch, "metrics": found.metrics}
            trainer.memory["weights"] = weights

    if steps == 0:  # zero-shot: there is one epoch to choose from, and it is number 0
        validate(trainer)
    trainer.fit(loader, prepare, after_step=validate)
    trained, best = trainer.wrapped.export_model(), trainer.memory["best"]
    record = {
        "version": 1,
        "code": decide(lambda: _code_used(experiment)),
        "epoch": best["epoch"],
        "epochs": round(steps / loader.steps_per_epoch, 3),
        "validation": best["metrics"],
        "seconds": round(trainer.seconds, 2),
        "device": device.type,
        "devices": size(),
        "corpus": corpus.fingerprint,
        "replaced": loader.replaced,
    }

    def write() -> None:
        save_weights(trained, folder / "last.safetensors")
        trained.load_state_dict(trainer.memory["weights"])
        save_weights(trained, folder / "finetuned.safetensors")
        write_json(folder / "finetuned.json", record)
        clear_states(folder / "checkpoints")

    decide(write)


def _code_used(experiment: Experiment) -> dict[str, str]:
    """The code of this stage and, as its record says, of the pre-training stage that it started from."""
    code = experiment.code_used("finetune")
    stage = experiment.pretrain_dir
    return code if stage is None else read_json(stage / "stage.json").get("code", {}) | {"finetune": code["finetune"]}


def _main() -> None:
    parser = Parser(prog="python -m simvtp.finetune", description=__doc__)
    add_config_arguments(parser)
    arguments = parser.parse_args()
    experiment = experiment_from(arguments)
    with joined(experiment.config.machine), stoppable():
        folder = finetune(experiment)
        if leads():
            log.info("fine-tuned weights: %s/finetuned.safetensors", folder)


if __name__ == "__main__":
    main(_main)
