"""Part (d): the claims sweep of preset `small` by the sweep engine, for as long as there is time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from types import FrameType

from benchmarks.gpu_parts.checks import Check, Row
from benchmarks.gpu_parts.results import results_of, rows_of
from benchmarks.gpu_parts.scale import Scale
from benchmarks.report import ROOT
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.data.from_config import build_train_loader, pretraining_corpus, tokenizer_of

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


def command(scale: Scale) -> list[str]:
    words = [sys.executable, "sweeps/run.py", "claims", "--preset", "small", "--seeds", scale.seeds]
    words += ["--cluster", "local", "--pack", str(scale.pack), "--results", str(results_of(scale.out))]
    return [*words, *(f"--set={key}={value}" for key, value in scale.small.items())]


def claims(scale: Scale) -> list[Row]:
    """Run the sweep; when the time is over, stop it in good order and tell what is done."""

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


CHECKS = (Check("corpus", 120, corpus), Check("claims, preset small", 3600, claims))
