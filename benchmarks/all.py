"""`make bench`: every benchmark that needs nothing but this repository, one after the other.

Each prints Markdown tables. They go into docs/performance.md, between `<!-- NAME -->` and `<!-- end NAME -->` (at its
end where these are not there yet), and with the machine, the commit and the date into a file of their own in
benchmarks/history/, which `python benchmarks/compare_history.py` compares.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.tables.markdown import fill_block
from benchmarks.report import ROOT, environment, tables_of

PAGE = ROOT / "docs" / "performance.md"
HISTORY = ROOT / "benchmarks" / "history"
NOT_THESE = {
    "all",
    "compare_history",
    "gpu",
    "odd_videos",
    "parity",
    "real_clips",
}  # what has no speed, or needs a GPU or a folder of clips


def benchmarks() -> list[str]:
    """The names of those that can be run as a command without arguments."""
    files = sorted((ROOT / "benchmarks").rglob("*.py"), key=lambda path: path.stem)
    return [path.stem for path in files if path.stem not in NOT_THESE and '"__main__"' in path.read_text()]


def run(name: str) -> str | None:
    """What it prints, passed on as it comes; None if it fails."""
    print(f"== {name}", flush=True)
    (path,) = (ROOT / "benchmarks").rglob(f"{name}.py")
    command = [sys.executable, "-W", "ignore", str(path.relative_to(ROOT))]
    printed = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            printed.append(line)
    return "".join(printed) if process.returncode == 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=benchmarks(), metavar="NAME", help=", ".join(benchmarks()))
    parser.add_argument("--keep", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    machine, failed = environment(), []
    record: dict[str, object] = {**machine, "tables": {}}
    for name in arguments.only or benchmarks():
        printed = run(name)
        if printed is None:
            failed.append(name)
        elif not arguments.keep:
            save(name, printed, machine, record)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the error of each is above, the others are written")


def save(name: str, printed: str, machine: dict[str, str], record: dict[str, object]) -> None:
    """Into the page and the history at once, so that what comes later may fail."""
    printed_tables = tables_of(printed)
    where = f"{machine['cores']} cores of {machine['processor']}."  # date and commit: in the history
    text = "\n\n".join("\n".join(lines) for lines, _ in printed_tables)
    PAGE.write_text(fill_block(PAGE.read_text(), name, f"{where}\n\n{text}"))
    tables = record["tables"]
    assert isinstance(tables, dict)
    tables[name] = [rows for _, rows in printed_tables]
    HISTORY.mkdir(exist_ok=True)
    stamp = re.sub(r"[^0-9]", "", machine["date"])[:12]
    (HISTORY / f"{stamp}-{machine['commit'].rstrip('+')}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
