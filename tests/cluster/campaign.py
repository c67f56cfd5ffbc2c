"""Faults at random moments over many sweeps of short runs: is any run lost, done twice, or different at the end?

    bash tests/cluster/up.sh && . $SLURM_LAB/env
    python -m tests.cluster.campaign --faults 200

Half of the faults hit sweeps on SLURM, the other half sweeps on this machine, both at the same time. Results are on a
small disk of their own (a tmpfs, which needs root), so that it can be filled. What whole sweeps have brought is kept in
campaign.json: the same command goes on after an interruption, and a larger --faults adds to it. The last line is the
count.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from simvtp.runtime.files import read_json, write_json
from tests.cluster.faults import DEADLY, LOCALLY, ON_SLURM, SETUP_MARK, Fault, deaths, is_fragile, resume_drained
from tests.cluster.scene import CHANGES, Scene
from tests.cluster.slurm_tasks import shell
from tests.sweeps.test_command import call, outcomes

ROUND_FAULTS = 10
PATIENCE_SECONDS = 1500.0
CLUSTER = """partition = "low"
signal_seconds = 60
setup = ["if rm MARK 2>/dev/null; then echo died in setup; exit 3; fi"]
"""
HUNG_MINUTES = "0.75"
NOTED_SECONDS = 120.0  # until the controller has surely seen a death
SUBMISSIONS = 60  # of one sweep: more is without end
BAD = ("lost", "twice", "different", "endless", "hung")


class Tally:
    """How often each fault was done at each place, and what came of it; on disk after every sweep."""

    def __init__(self, path: Path, wanted: int) -> None:
        self.path, self.wanted, self.lock = path, wanted, threading.Lock()
        before = read_json(path) if path.exists() else {}
        self.faults, self.bad = Counter[str](before.get("faults", {})), Counter[str](before.get("bad", {}))
        self.sweeps, self.began = Counter[str](before.get("sweeps", {})), time.monotonic()
        self.seconds = float(before.get("seconds", 0.0))
        self.planned = self.faults.copy()  # with those of sweeps running

    def choose(self, place: str, kinds: tuple[Fault, ...]) -> Fault:
        """One of the kinds that were done the least at this place."""
        with self.lock:
            return min(kinds, key=lambda kind: (self.planned[f"{place} {kind.__name__}"], random.random()))

    def next_sweep(self, place: str, places: int) -> tuple[int, int]:
        """(number of the next sweep of a place, faults it is to have); 0 faults where the place has had its share."""
        with self.lock:
            done = sum(count for name, count in self.faults.items() if name.startswith(place))
            few = min(ROUND_FAULTS, -(-self.wanted // places) - done)
            return self.sweeps[place], max(0, few)

    def add(self, place: str, faults: Counter[str], bad: Counter[str]) -> None:
        """A sweep has ended."""
        with self.lock:
            self.faults += faults
            self.bad += bad
            self.sweeps[place] += 1
            write_json(self.path, {
                "faults": self.faults, "bad": self.bad, "sweeps": self.sweeps,
                "seconds": self.seconds + time.monotonic() - self.began,
            })  # fmt: skip
            print(f"{time.strftime('%H:%M:%S')} {self}", flush=True)

    def __str__(self) -> str:
        return f"{self.faults.total()} faults: " + ", ".join(f"{name} {self.bad[name]}" for name in BAD)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.campaign", description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "simvtp-campaign")
    parser.add_argument("--place", choices=["slurm", "local", "both"], default="both")
    parser.add_argument("--only", metavar="FAULTS", help="these kinds of faults alone, with commas")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    plain = arguments.folder / "undisturbed"
    done = call(plain, "finetune_lr", "--cluster", "debug", changes=CHANGES)
    if done.returncode:
        sys.exit(done.stderr)
    wanted = outcomes(plain)
    places = ["slurm", "local"] if arguments.place == "both" else [arguments.place]
    tally = Tally(arguments.folder / "campaign.json", arguments.faults)
    only = arguments.only.split(",") if arguments.only else None
    threads = [
        threading.Thread(target=_campaign, args=(arguments.folder / place, place, len(places), wanted, tally, only))
        for place in places
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(", ".join(f"{name} {count}" for name, count in sorted(tally.faults.items())))
    print(tally)
    return 1 if tally.bad.total() or tally.faults.total() < arguments.faults else 0


def _campaign(
    disk: Path, place: str, places: int, wanted: dict[str, str], tally: Tally, only: list[str] | None
) -> None:
    """Sweeps of one place, one after the other, until it has had its share of faults."""
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=384m", "tmpfs", disk], check=True)
    try:
        while True:
            number, few = tally.next_sweep(place, places)
            if not few:
                return
            results = disk / f"{place}{number}"
            kinds = ON_SLURM if place == "slurm" else LOCALLY
            chosen = tuple(kind for kind in kinds if only is None or kind.__name__ in only)
            _sweep(results, place, few, wanted, tally, chosen)
            shell("rm", "-rf", str(results))
    finally:
        subprocess.run(["umount", "-l", disk], check=False)


def _sweep(results: Path, place: str, few: int, wanted: dict[str, str], tally: Tally, kinds: tuple[Fault, ...]) -> None:
    """One sweep with so many faults, of the kinds that were done the least so far."""
    scene, faults = Scene(results, _words(results, place)), Counter[str]()
    scene.start()
    threading.Thread(target=scene.witness, daemon=True).start()
    until, due = time.monotonic() + PATIENCE_SECONDS, time.monotonic() + random.uniform(2, 10)
    before, noted_until = 0, 0.0
    while time.monotonic() < until:
        if scene.controller is None or scene.controller.poll() is not None:
            if scene.controller is not None and scene.controller.returncode == 0:
                break
            scene.start()
        is_noted = deaths(scene) > before or time.monotonic() > noted_until  # a slow controller notes a death late
        if faults.total() < few and time.monotonic() > due and is_noted and not is_fragile(scene):
            fault = tally.choose(place, kinds)
            name = f"{place} {fault.__name__}"
            before = deaths(scene)
            if fault(scene):
                noted_until = time.monotonic() + (NOTED_SECONDS if fault in DEADLY else 0)
                faults[name] += 1
                tally.planned[name] += 1
                print(f"{time.strftime('%H:%M:%S')} {results.name} {fault.__name__}", flush=True)
            due = time.monotonic() + random.uniform(0.5, 4)
        if place == "slurm":
            scene.look_at_queue()
            resume_drained()
        time.sleep(1)
    scene.look()
    scene.end()
    actual = outcomes(results)
    missing = wanted.keys() - actual.keys()
    different = [run for run, outcome in wanted.items() if run in actual and actual[run] != outcome]
    for what in scene.twice:
        print(f"twice: {what}", flush=True)
    submitted = len(list((results / "jobs").glob("*/record.json")))
    bad = Counter(lost=len(missing), twice=len(scene.twice), different=len(different),
                  endless=int(submitted > SUBMISSIONS), hung=int(time.monotonic() >= until))  # fmt: skip
    if bad.total():
        shell("cp", "-r", str(results), str(results.parent.parent / f"bad-{results.name}"))
    tally.add(place, faults, bad)


def _words(results: Path, place: str) -> list[str]:
    words = ["--hung-after", HUNG_MINUTES]
    if place == "local":
        return [*words, "--cluster", "local", "--jobs", "2"]
    path = results.parent / "campaign.toml"
    path.write_text(CLUSTER.replace("MARK", str(results / SETUP_MARK)))
    return [*words, "--cluster", str(path)]


if __name__ == "__main__":
    sys.exit(main())
