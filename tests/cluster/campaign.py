"""Faults at random moments over many sweeps of short runs: is any run lost, done twice, or different at the end?

    bash tests/cluster/up.sh && . ${SLURM_LAB:-/tmp/simvtp-slurm}/env
    python -m tests.cluster.campaign --faults 200

Half of the faults hit sweeps on SLURM, half hit sweeps on this machine. Results are on a small disk of their own (a
tmpfs, which needs root), so that it can be filled. The last line is the count.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from tests.cluster.faults import BOTH, ON_SLURM, Fault, shell
from tests.cluster.scene import CHANGES, Scene
from tests.sweeps.test_command import call, outcomes

ROUND_FAULTS = 6
PATIENCE_SECONDS = 900.0
CLUSTER = 'partition = "low"\nsignal_seconds = 60\n'


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.campaign", description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/simvtp-campaign"))
    parser.add_argument("--place", choices=["slurm", "local", "both"], default="both")
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    plain = arguments.folder / "undisturbed"
    done = call(plain, "finetune_lr", "--cluster", "debug", changes=CHANGES)
    if done.returncode:
        sys.exit(done.stderr)
    wanted = outcomes(plain)
    disk = arguments.folder / "disk"
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=384m", "tmpfs", disk], check=True)
    counts, faults = Counter[str](), Counter[str]()
    try:
        places = ["slurm", "local"] if arguments.place == "both" else [arguments.place]
        number = 0
        while faults.total() < arguments.faults:
            place = places[number % len(places)]
            few = min(ROUND_FAULTS, arguments.faults - faults.total())
            _round(disk / f"round{number}", place, few, wanted, counts, faults)
            shell("rm", "-rf", str(disk / f"round{number}"))
            number += 1
    finally:
        subprocess.run(["umount", "-l", disk], check=False)
    print(", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    words = ", ".join(f"{name} {counts[name]}" for name in ("lost", "twice", "different"))
    print(f"{faults.total()} faults: {words}")
    return 1 if counts.total() else 0


def _round(
    results: Path, place: str, few: int, wanted: dict[str, str], counts: Counter[str], faults: Counter[str]
) -> None:
    """One sweep with so many faults, in the order of the least done so far; adds to both counters."""
    kinds: tuple[Fault, ...] = ON_SLURM if place == "slurm" else BOTH
    scene = Scene(results, _words(results, place))
    scene.start()
    threading.Thread(target=scene.witness, daemon=True).start()
    until, begun, due = time.monotonic() + PATIENCE_SECONDS, faults.total(), time.monotonic() + random.uniform(4, 12)
    while time.monotonic() < until:
        if scene.controller is None or scene.controller.poll() is not None:
            if scene.controller is not None and scene.controller.returncode == 0:
                break
            scene.start()
        if faults.total() - begun < few and time.monotonic() > due:
            fault = min(kinds, key=lambda kind: (faults[f"{place} {kind.__name__}"], random.random()))
            if fault(scene):
                faults[f"{place} {fault.__name__}"] += 1
                print(f"{time.strftime('%H:%M:%S')} {results.name} {place} {fault.__name__}", flush=True)
            due = time.monotonic() + random.uniform(1, 8)
        if place == "slurm":
            scene.look_at_queue()
        time.sleep(1)
    scene.look()
    scene.end()
    found = outcomes(results)
    counts["lost"] += len(wanted.keys() - found.keys())
    counts["twice"] += len(scene.twice)
    counts["different"] += sum(found[run] != outcome for run, outcome in wanted.items() if run in found)
    for what in scene.twice:
        print(f"twice: {what}", flush=True)
    if wanted.keys() - found.keys():
        shell("cp", "-r", str(results), str(results.parent.parent / f"lost-{results.name}"))


def _words(results: Path, place: str) -> list[str]:
    if place == "local":
        return ["--cluster", "local", "--jobs", "2"]
    path = results.parent / "campaign.toml"
    path.write_text(CLUSTER)
    return ["--cluster", str(path)]


if __name__ == "__main__":
    sys.exit(main())
