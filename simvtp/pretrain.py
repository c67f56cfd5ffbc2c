"""Stage 1: masked pre-training of the unified encoder. `python -m simvtp.pretrain --preset tiny --set key=value`."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from simvtp.arguments import add_config_arguments, config_from
from simvtp.checkpoints import clear_states, save_weights
from simvtp.command import main
from simvtp.config import Config
from simvtp.cost import pretrain_gflop
from simvtp.data.loading import Batch, TrainLoader
from simvtp.data.text import Tokenizer
from simvtp.files import write_json
from simvtp.locks import Lock
from simvtp.masking import draw_text_mask, draw_video_mask
from simvtp.objectives import Masked, draw_partners, losses
from simvtp.randomness import generator
from simvtp.stages import (
    fresh_model,
    pretrain_folder,
    pretraining_corpus,
    say,
    tokenizer_of,
    use_machine,
    write_config,
)
from simvtp.training import Losses, Trainer, stoppable
from simvtp.validation import steps_of


def pretrain(config: Config, results: Path, preset: str) -> Path | None:
    """Weights of the config's pre-training stage, trained unless they are there. None: it has no such stage.

    Writes results/pretrained/<stage id>/: config.json, log.jsonl, stage.json (losses, costs), weights.safetensors.
    Raises locks.Busy where another process trains this stage, training.Interrupted after a signal.
    """
    folder = pretrain_folder(config, results)
    if folder is None or (folder / "weights.safetensors").exists():
        return folder and folder / "weights.safetensors"
    with Lock(folder / "lock"):
        if not (folder / "weights.safetensors").exists():  # another process may have finished it just now
            _train(config, folder, preset)
    return folder / "weights.safetensors"


def _train(config: Config, folder: Path, preset: str) -> None:
    write_config(folder, config, preset)
    device = use_machine(config.machine)
    tokenizer = tokenizer_of(config)
    corpus = pretraining_corpus(config)
    stage, model = config.pretrain, fresh_model(config, tokenizer).to(device)
    loader = TrainLoader(
        corpus, tokenizer, frames=config.model.frames, stride=config.data.stride, size=config.model.size,
        crop=stage.crop, batch=stage.batch, words=config.model.words, seed=config.seed,
        workers=config.machine.workers, cache=config.machine.frame_cache,
    )  # fmt: skip
    weights = {name: getattr(config.objective, name) for name in ("mvm", "mlm", "vtc", "vtm")}
    trainer = Trainer(
        name="pretrain", model=model, optimisation=stage,
        steps=steps_of(stage.length, loader.steps_per_epoch), warmup=steps_of(stage.warmup, loader.steps_per_epoch),
        weights=weights, seed=config.seed, folder=folder, machine=config.machine, device=device,
    )  # fmt: skip

    def compute(batch: Batch, draw: int) -> Losses:
        return losses(model, masked(batch, config, tokenizer, draw, device), config)

    trainer.fit(loader, compute)
    stage_record = {
        "version": 1,
        "losses": {name: value for name, value in trainer.tail_means().items() if name != "loss"},
        "seconds": round(trainer.seconds, 2),
        "steps": trainer.steps,
        "gflop": round(pretrain_gflop(config) * trainer.steps, 1),
        "device": device.type,
        "corpus": corpus.fingerprint,
        "videos": len(corpus.samples),
        "replaced": loader.replaced,
    }
    write_json(folder / "stage.json", stage_record)
    save_weights(model, folder / "weights.safetensors")
    clear_states(folder / "checkpoints")


def masked(batch: Batch, config: Config, tokenizer: Tokenizer, draw: int, device: torch.device) -> Masked:
    """Draw the masks and mismatched pairs of one part of a batch, and move all to the device."""
    random = generator(config.seed, "masks", draw)
    rows = len(batch.ids)
    special = (tokenizer.pad, tokenizer.cls, tokenizer.sep)
    video_mask = draw_video_mask(rows, config.model, config.mask, random)
    text_mask = draw_text_mask(batch.words, config.mask.text, tokenizer.mask, special, random)
    return Masked(
        video=batch.video.to(device, non_blocking=True),
        present=(batch.words != tokenizer.pad).to(device, non_blocking=True),
        video_mask=video_mask.to(device),
        text_mask=text_mask.to(device),
        partners=draw_partners(rows, random).to(device, non_blocking=True),
    )


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simvtp.pretrain", description=__doc__)
    add_config_arguments(parser)
    arguments = parser.parse_args()
    config = config_from(arguments)
    with stoppable():
        weights = pretrain(config, arguments.results, arguments.preset)
    say(
        f"pre-trained weights: {weights}" if weights else "this config has no pre-training (pretrain.length is 0 steps)"
    )


if __name__ == "__main__":
    main(_main)
