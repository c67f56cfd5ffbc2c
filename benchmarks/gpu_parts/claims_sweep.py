"""Part (d): the claims sweep of preset `small` by the sweep engine, for as long as there is time."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from types import FrameType

import torch
from torch import Tensor

from benchmarks.gpu_parts.checks import Check, Row, Scale
from benchmarks.gpu_parts.parts import results_of, rows_of
from benchmarks.gpu_parts.workload import seconds_of
from benchmarks.report import ROOT
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.data.from_config import build_train_loader, pretraining_corpus, tokenizer_of
from simvtp.data.train_loader import CPU, Batch
from simvtp.distributed.device_copy import copy_to_device

STOP_SECONDS = 12.0  # for the runs to write their checkpoints


class TimeIsOver(Exception):
    """SIGTERM of the parent process."""


def corpus(scale: Scale) -> list[Row]:
    """The embedded corpus rendered, and decoded once for all runs."""
    began = time.monotonic()
    config = override(preset("small"), dict(scale.small))
    loader = build_train_loader(config, "pretrain", pretraining_corpus(config), tokenizer_of(config))
    took = time.monotonic() - began
    return [{"videos": str(len(loader.corpus.samples)), "seconds": f"{took:.1f}", "corpus": config.data.pretrain}]


def cached_clips(scale: Scale) -> list[Row]:
    """Batches from the frame cache to the device: put together on the CPU, and looked up on the device."""
    config, device, rows = override(preset("small"), dict(scale.small)), torch.device(scale.device), list[Row]()
    corpus, tokenizer, shown = pretraining_corpus(config), tokenizer_of(config), list[Tensor]()
    for name, place in (("on the CPU", CPU), ("on the device", device)):
        batches = build_train_loader(config, "pretrain", corpus, tokenizer, place).batches(0)
        shown.append(copy_to_device(next(batches).video, device))
        seconds = seconds_of(functools.partial(_next_clips, batches, device), device, scale.seconds)
        rows.append({
            "frames": name, "batch": str(len(shown[-1])), "ms": f"{1000 * seconds:.2f}",
            "clips/s": f"{len(shown[-1]) / seconds:.0f}", "ok": "yes" if torch.equal(shown[0], shown[-1]) else "no",
        })  # fmt: skip
    return rows


def _next_clips(batches: Iterator[Batch], device: torch.device) -> Tensor:
    return copy_to_device(next(batches).video, device)


def command(scale: Scale) -> list[str]:
    words = [sys.executable, "sweeps/run.py", "claims", "--preset", "small", "--seeds", scale.seeds]
    words += ["--cluster", "local", "--pack", str(scale.pack), "--results", str(results_of(scale.out))]
    return [*words, *(f"--set={key}={value}" for key, value in scale.small.items())]


def claims(scale: Scale) -> list[Row]:
    """Run the sweep; when the time is over, stop it, so that runs write checkpoints, and report what is done."""

    def over(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise TimeIsOver

    before = signal.signal(signal.SIGTERM, over)
    began = time.monotonic()
    sweep = subprocess.Popen(command(scale), cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        code = sweep.wait()
        note = "complete" if code == 0 else f"the sweep ended with code {code}"
    except TimeIsOver:
        os.kill(sweep.pid, signal.SIGINT)
        try:
            sweep.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            sweep.kill()
        note = f"stopped after {time.monotonic() - began:.0f} s"
    finally:
        signal.signal(signal.SIGTERM, before)
    return rows_of(results_of(scale.out), note)


CHECKS = (
    Check("corpus", 120, corpus),
    Check("clips from the frame cache", 20, cached_clips),
    Check("claims, preset small", 3600, claims),
)
