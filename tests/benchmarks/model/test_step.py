"""What a timing is made of."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import time
from pathlib import Path

import pytest
import torch

from benchmarks.model import step
from benchmarks.model.plain import plain_losses
from simvtp.config.presets import preset
from simvtp.distributed.process_group import joined
from simvtp.models.objectives import losses
from simvtp.models.simvtp import SimVTPModel


def test_a_timing_is_the_mean_of_calls_after_one_that_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0

    def action() -> None:
        nonlocal now
        now += next(lasting)

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    lasting = iter([0.25, 0.125, 0.375])  # half a second takes two more calls like the first
    assert step.seconds_of(action) == 0.25
    assert not list(lasting)


def test_the_preset_that_is_timed_has_the_plain_losses() -> None:
    config = step.config_of("tiny", 4, [])
    known = step.WORDS[config.data.tokenizer]
    model = SimVTPModel(config, known.size)
    given = step.masked(step.make_batch(config), config, known, 0, torch.device("cpu"))  # type: ignore[arg-type]
    with torch.no_grad():
        ours, plain = losses(model, given, config), plain_losses(model, given, config)
    assert {name: loss.item() for name, loss in ours.items()} == pytest.approx(
        {name: loss.item() for name, loss in plain.items()}, rel=1e-5
    )


def _count(place: dict[str, str], pause: float, answer: Path) -> None:
    os.environ.update(place)

    calls = []
    with joined(preset("tiny").machine):
        step.seconds_of(lambda: (calls.append(1), time.sleep(pause)))
    answer.write_text(json.dumps(len(calls)))


def test_processes_that_train_together_make_as_many_calls(tmp_path: Path) -> None:
    """One that made more would wait for the others forever."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    context = multiprocessing.get_context("spawn")
    started = []
    for rank, pause in enumerate((0.02, 0.1)):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                 "MASTER_PORT": port}  # fmt: skip
        started.append(context.Process(target=_count, args=(place, pause, tmp_path / str(rank))))
        started[-1].start()
    for process in started:
        process.join(60)
        process.kill()
    counts = [json.loads((tmp_path / str(rank)).read_text()) for rank in range(2)]
    assert counts[0] == counts[1] > 5
