"""Everything that needs a GPU, in one command: `python benchmarks/gpu.py --minutes 12 --out DIR`.

Correctness against the CPU, the step of `base`, the loader, then the claims sweep of `small` with the time that is
left; each in processes of its own, with time limits. DIR gets records.jsonl (written with every row of a table),
report.md, a log of each part and results.tar.gz of the sweep, whenever the command ends.

It needs Python 3.12 or 3.11, torch and torchvision, no network and no installation:

    python benchmarks/gpu.py --collect-wheels wheels        # where there is a network and this project's .venv
    python benchmarks/gpu.py --wheels wheels --out gpu      # where the GPU is

`--rehearse` runs all parts in small shapes on the CPU.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.gpu_parts import wheels
from benchmarks.gpu_parts.checks import read
from benchmarks.gpu_parts.parts import PARTS, archive, page, results_of
from benchmarks.gpu_parts.process import run_part
from benchmarks.report import ROOT

RESERVE_SECONDS = 30.0  # for the last kill, the archive and the report


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--minutes", type=float, default=12, help="the whole command's time (12)")
    made.add_argument("--out", type=Path, default=Path("gpu-report"), help="folder of the report (gpu-report)")
    made.add_argument("--only", nargs="*", choices=PARTS, metavar="PART", help=f"some of {', '.join(PARTS)}")
    made.add_argument("--wheels", type=Path, metavar="DIR", help="packages that this Python lacks, as --collect-wheels")
    made.add_argument("--collect-wheels", type=Path, metavar="DIR", help="download these wheels, and end")
    made.add_argument("--without", nargs="*", default=[], metavar="NAME", help="of the wheels: packages not needed")
    made.add_argument("--rehearse", action="store_true", help="small shapes on the CPU, one thread")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0, 1 where something is wrong by the report, 2 for bad input."""
    arguments = parser().parse_args(words)
    if arguments.collect_wheels:
        wanted = wheels.collect(arguments.collect_wheels, arguments.without)
        size = sum(file.stat().st_size for file in arguments.collect_wheels.glob("*.whl")) / 2**20
        print(f"{len(wanted)} wheels, {size:.0f} MiB, in {arguments.collect_wheels}")
        return 0
    if arguments.wheels and not list(arguments.wheels.glob("*.whl")):
        print(f"error: --wheels {arguments.wheels}: no wheel is there; make it with --collect-wheels", file=sys.stderr)
        return 2
    if not arguments.rehearse and not has_cuda():
        print("error: torch sees no GPU here; --rehearse runs all parts on the CPU", file=sys.stderr)
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in ("records.jsonl", "report.md", "results.tar.gz", *(f"{part}.log" for part in PARTS)):
        (arguments.out / name).unlink(missing_ok=True)  # of an earlier run
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with tempfile.TemporaryDirectory(prefix="simvtp-gpu-") as folder:
            return run(arguments, Path(folder))
    finally:
        signal.signal(signal.SIGTERM, before)


def has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise KeyboardInterrupt


def run(arguments: argparse.Namespace, work: Path) -> int:
    """All parts; the report is written anew after each."""
    until = time.monotonic() + 60 * arguments.minutes - (0 if arguments.rehearse else RESERVE_SECONDS)
    site, out = work / "site", arguments.out.resolve()
    if arguments.wheels:
        print(f"{len(wheels.unpack(arguments.wheels, site))} wheels unpacked", flush=True)
    path = [str(site), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    if arguments.rehearse:
        environment |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    size, title = ("rehearsal", "Rehearsal on a CPU") if arguments.rehearse else ("full", "Report of a GPU")
    records, code = out / "records.jsonl", 0
    try:
        for name in arguments.only or PARTS:
            left = until - time.monotonic()
            share = 0 if arguments.rehearse else PARTS[name].share * 60 * arguments.minutes
            command = [sys.executable, "-m", "benchmarks.gpu_parts", name, str(work), str(records), size]
            print(f"{name}: at most {min(left, share or left):.0f} s", flush=True)
            run_part(name, command, records, out / f"{name}.log", min(left, share or left), environment)
            write(out, title)
    except KeyboardInterrupt:
        code = 130
    archive(results_of(str(work)), out / "results.tar.gz")
    return code or int(write(out, title))


def write(out: Path, title: str) -> bool:
    """Write the report; whether it names something that is wrong."""
    text = page(read(out / "records.jsonl"), title)
    (out / "report.md").write_text(text)
    print(f"report: {out / 'report.md'}", flush=True)
    return "## What is wrong" in text


if __name__ == "__main__":
    sys.exit(main())
