"""Memory over many openings, and hangs under forked workers: `python benchmarks/data/openings.py`.

Opens one 320x240 video 10,000 times and reads 4 frames of it each time, in one process with each reader, and through a
DataLoader with 2 forked workers after the parent itself has read. Prints resident memory after 1,000 and 10,000.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from pathlib import Path

import torch
from torch.utils.data import DataLoader

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import report
from benchmarks.data.clips import make
from simvtp.data.video.video import Video


class Openings(torch.utils.data.Dataset[int]):
    def __init__(self, path: Path, reader: str, count: int) -> None:
        self.path, self.reader, self.count = path, reader, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> int:
        return int(Video(self.path, self.reader).frames([index % 50, 60, 61, 62], 112).sum() > 0)


def memory() -> float:
    """MiB of this process and its children, resident."""
    gc.collect()
    return sum(
        _resident(process) for process in ("self", *Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
    )


def _resident(process: str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def row(name: str, openings: Openings, workers: int) -> dict[str, str]:
    marks, first = {}, max(1, openings.count // 10)
    fork = "fork" if workers else None
    source = DataLoader(openings, batch_size=None, num_workers=workers, multiprocessing_context=fork)
    for number, _ in enumerate(source, start=1):
        if number in (first, openings.count - 2 * workers):
            marks[number] = memory()
    (early, less), (late, more) = marks.items()
    growth = f"{(more - less) * 1024 / (late - early):.2f} KiB each"
    return {"preset": "base", "reader": name, "openings": str(openings.count), f"MiB after {early}": f"{less:.0f}",
            "MiB at the end": f"{more:.0f}", "growth": growth}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    count = parser.parse_args().count
    report.print_environment()
    with tempfile.TemporaryDirectory() as folder:
        path = make(Path(folder) / "v.mp4", 320, 240)
        rows = [row(reader, Openings(path, reader, count), 0) for reader in ("pyav", "decord")]
        rows.append(row("pyav, 2 forked workers", Openings(path, "pyav", count), 2))
    print(report.markdown(rows))


if __name__ == "__main__":
    main()
