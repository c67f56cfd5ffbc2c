"""Stage 1: masked pre-training of the unified encoder. `python -m simvtp.pretrain --preset tiny --set key=value`."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from simvtp.cli import Parser, add_config_arguments, main
from simvtp.config.experiment import Experiment
from simvtp.config.formats import steps_of
from simvtp.config.schema import Config
from simvtp.data.from_config import build_train_loader, pretraining_corpus, tokenizer_of
from simvtp.data.resolve import experiment_from
from simvtp.data.tokenizer import Tokenizer
from simvtp.data.train_loader import Batch
from simvtp.distributed.device_copy import copy_to_device
from simvtp.distributed.process_group import decide, joined, leads, owned, rank, size
from simvtp.models.build import starting_model
from simvtp.models.flops import pretrain_gflop
from simvtp.models.masking import MaskedBatch, draw_text_mask, draw_video_mask, drop_masked, select_decoded
from simvtp.models.objectives import Pretraining, draw_negatives, weights_of
from simvtp.runtime.files import write_json
from simvtp.runtime.seeding import generator
from simvtp.runtime.signals import stoppable
from simvtp.training.checkpoint import clear_states, save_weights
from simvtp.training.device import use_machine, warn_of_slow_bf16
from simvtp.training.trainer import Trainer

log = logging.getLogger(__name__)


def pretrain(experiment: Experiment) -> Path | None:
    """Weights of the config's pre-training stage, trained unless they are there. None: it has no such stage.

    Writes results/pretrained/<stage id>/: config.json, log.jsonl, stage.json (losses, costs), weights.safetensors.
    Raises locks.Busy where another process trains this stage, signals.Interrupted after a signal.
    """
    folder = experiment.pretrain_dir
    if folder is None:
        return None
    weights = folder / "weights.safetensors"

    def done(*, is_locked: bool = False) -> bool:
        """A user may have moved a damaged stage.json away, as its error says."""
        made = weights.exists() and (folder / "stage.json").exists()
        return made and experiment.is_done("pretrain", is_locked=is_locked) and weights.exists()

    if not decide(done):
        with owned(folder / "lock"):
            if not decide(lambda: done(is_locked=True)):  # another process may have finished it just now
                _train(experiment, folder)
    return weights


def _train(experiment: Experiment, folder: Path) -> None:
    config = experiment.config
    decide(lambda: experiment.begin("pretrain"))
    device = use_machine(config.machine)
    tokenizer = tokenizer_of(config)
    stage, model = config.pretrain, starting_model(config, tokenizer).to(device)
    warn_of_slow_bf16("pretrain", stage, device)
    loader = build_train_loader(config, "pretrain", pretraining_corpus(config), tokenizer, device)
    trainer = Trainer(
        name="pretrain", model=model, objective=Pretraining(model, config), optimisation=stage,
        steps=steps_of(stage.length, loader.steps_per_epoch), warmup=steps_of(stage.warmup, loader.steps_per_epoch),
        weights=weights_of(config), seed=config.seed, folder=folder, machine=config.machine, device=device,
    )  # fmt: skip

    trainer.fit(loader, lambda batch, draw: (masked(batch, config, tokenizer, draw, device),))
    trained = trainer.wrapped.export_model()
    stage_record = {
        "version": 1,
        "code": decide(lambda: experiment.code_used("pretrain")),
        "losses": {name: value for name, value in trainer.tail_means().items() if name != "loss"},
        "seconds": round(trainer.seconds, 2),
        "steps": trainer.steps,
        "gflop": round(pretrain_gflop(config) * trainer.steps, 1),
        "device": device.type,
        "corpus": loader.corpus.fingerprint,
        "videos": len(loader.corpus.samples),
        "replaced": loader.replaced,
    }

    def write() -> None:
        write_json(folder / "stage.json", stage_record)
        save_weights(trained, folder / "weights.safetensors")
        clear_states(folder / "checkpoints")

    decide(write)


def masked(batch: Batch, config: Config, tokenizer: Tokenizer, draw: int, device: torch.device) -> MaskedBatch:
    """Draw the masks and mismatched pairs of one part of a batch, and move this process's rows to the device.

    Every process draws those of all rows, as one process with the whole batch does.
    """
    random = generator(config.seed, "masks", draw)
    rows, own = len(batch.all_words), slice(rank() * len(batch.ids), (rank() + 1) * len(batch.ids))
    special = (tokenizer.pad, tokenizer.cls, tokenizer.sep)
    hidden = draw_video_mask(rows, config.model, config.mask, random)
    video_mask = select_decoded(hidden, config.model, config.mask, generator(config.seed, "decoded", draw))
    all_text = draw_text_mask(batch.all_words, config.mask.text, tokenizer.mask, special, random)
    text_mask, present = all_text.rows(own), batch.words != tokenizer.pad
    dropped = drop_masked(text_mask, present).to(device) if config.mask.words == "dropped" else None
    return MaskedBatch(
        video=copy_to_device(batch.video, device),
        present=copy_to_device(present, device),
        video_mask=video_mask.rows(own).to(device),
        text_mask=text_mask.to(device),
        negatives=draw_negatives(config.objective.negatives, rows, random, config.pretrain.group),
        word_weight=len(text_mask.targets) * size() / max(len(all_text.targets), 1) if size() > 1 else 1.0,
        dropped=dropped,
    )


def _main() -> None:
    parser = Parser(prog="python -m simvtp.pretrain", description=__doc__)
    add_config_arguments(parser)
    arguments = parser.parse_args()
    experiment = experiment_from(arguments, pretrain_only=True)
    with joined(experiment.config.machine), stoppable():
        weights = pretrain(experiment)
        if leads():
            log.info("pre-trained weights: %s", weights or "none, pretrain.length is 0 steps")


if __name__ == "__main__":
    main(_main)
