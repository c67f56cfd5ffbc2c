"""How long a command takes before it does anything: `python benchmarks/startup.py`.

Each command alternates with `python -c pass`, and the ratio is between their medians. The commands look at an empty
results folder and start nothing. modules: how many were imported in all.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import ROOT, markdown, print_environment

PASS = ("-c", "pass")
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("sweeps/run.py", "--help"),
    ("sweeps/run.py", "--list"),
    ("sweeps/run.py", "mask_ratio", "--status"),
    ("sweeps/run.py", "mask_ratio", "--dry-run"),
    ("sweeps/run.py", "--vary", "mask.video=0.5,0.75", "--dry-run"),
    ("-m", "simvtp", "--help"),
    ("-m", "simvtp.run", "--help"),
    ("-m", "simvtp.config", "show", "base"),
    ("analysis/plot.py", "--help"),
    ("analysis/table.py", "--help"),
    ("analysis/report.py", "--help"),
)
ROUNDS = 11


def seconds(words: Sequence[str], folder: str) -> float:
    """Wall clock of one call; raises CalledProcessError if it fails."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *_with_results(words, folder)], cwd=ROOT, capture_output=True, check=True)
    return time.perf_counter() - began


def modules(words: Sequence[str], folder: str) -> set[str]:
    """Names of the modules that one call imports."""
    line = [sys.executable, "-X", "importtime", *_with_results(words, folder)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    return imported(done.stderr)


def imported(text: str) -> set[str]:
    """Modules in what `python -X importtime` writes."""
    lines = [line.split("|") for line in text.splitlines() if line.startswith("import time:")]
    return {parts[2].strip() for parts in lines if parts[2].strip() != "imported package"}


def _with_results(words: Sequence[str], folder: str) -> list[str]:
    sweep = words[0] == "sweeps/run.py" and "--help" not in words
    return [*words, "--results", folder] if sweep else list(words)


def measure(words: Sequence[str], rounds: int, folder: str) -> dict[str, str]:
    """A row of the table."""
    own, plain = [], []
    for _ in range(rounds):
        plain.append(seconds(PASS, folder))
        own.append(seconds(words, folder))
    ratio = statistics.median(own) / statistics.median(plain)
    return {
        "command": " ".join(["python", *words]),
        "seconds": f"{statistics.median(own):.3f}",
        "least": f"{min(own):.3f}",
        "of python -c pass": f"{ratio:.1f}x",
        "modules": str(len(modules(words, folder))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"calls of each command ({ROUNDS})")
    arguments = parser.parse_args()
    print_environment()
    with tempfile.TemporaryDirectory() as folder:
        for words in COMMANDS:  # what they compile is written once
            seconds(words, folder)
        print(markdown([measure(words, arguments.rounds, folder) for words in COMMANDS]))


if __name__ == "__main__":
    main()
