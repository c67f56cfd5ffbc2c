"""A sweep under faults: its controller, started again whenever it is gone, and a witness of what is done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path

from sweeps.state.submissions import PREFIX, Submissions
from tests.sweeps.test_command import ROOT, command

CHANGES = {"pretrain.length": "100 steps", "finetune.length": "8 epochs", "machine.checkpoint_seconds": "0.2"}
# What ends whole and is then left alone, of a run and of a stage.
FINAL = ("runs/*/result.json", "runs/*/finetuned.json", "pretrained/*/weights.safetensors")


class Scene:
    """One results folder, one sweep."""

    def __init__(self, results: Path, words: list[str]) -> None:
        self.results, self.words = results, words
        self.controller: subprocess.Popen[bytes] | None = None
        self.started: list[subprocess.Popen[bytes]] = []
        self.made: dict[Path, tuple[int, int]] = {}
        self.twice: set[str] = set()
        self._over = threading.Event()

    def start(self) -> None:
        """Give the command; the process leads a group of its own, as a shell's job does."""
        self.results.mkdir(parents=True, exist_ok=True)
        line = command(self.results, "finetune_lr", *self.words, changes=CHANGES)
        with (self.results.parent / f"{self.results.name}.out").open("ab") as out:
            self.controller = subprocess.Popen(line, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
        self.started.append(self.controller)

    def signal_controller(self, number: int) -> bool:
        """Whether there was one to signal; it is gone afterwards."""
        if self.controller is None or self.controller.poll() is not None:
            return False
        os.kill(self.controller.pid, number)
        try:
            self.controller.wait(90)
        except subprocess.TimeoutExpired:
            self.controller.kill()
            self.controller.wait()
        return True

    def end(self) -> None:
        """Kill what is left of it."""
        self._over.set()
        for process in self.started:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            process.wait()

    def witness(self) -> None:
        """Until the end: note finished files that are replaced by others, and work that SLURM has in two jobs."""
        while not self._over.wait(0.5):
            self.look()

    def look(self) -> None:
        for pattern in FINAL:
            for path in self.results.glob(pattern):
                status = path.stat()
                version = (status.st_ino, status.st_mtime_ns)
                if self.made.setdefault(path, version) != version:
                    self.twice.add(f"{path} was written again")
        for path in self.results.glob("*/*/log.jsonl"):
            steps = Counter(
                (line["stage"], line["step"])
                for line in map(_whole, path.read_text(errors="replace").splitlines())
                if line is not None
            )
            self.twice |= {f"{path} has step {step} twice" for step, count in steps.items() if count > 1}

    def look_at_queue(self) -> None:
        """No item may be in two tasks that SLURM has at the same time."""
        submissions, items = Submissions(self.results), Counter[str]()
        words = ["squeue", "-h", "-r", "-o", "%j|%K"]
        for line in subprocess.run(words, capture_output=True, text=True, check=False).stdout.split():
            name, _, task = line.partition("|")
            record = submissions.read(name.removeprefix(PREFIX))
            if record is not None and task.isdigit():
                items.update(entry["id"] for entry in record.entries[int(task)])
        self.twice |= {f"{item} is in two jobs" for item, count in items.items() if count > 1}


def _whole(line: str) -> dict[str, object] | None:
    try:
        content: dict[str, object] = json.loads(line)
    except ValueError:
        return None
    return content
