"""`python benchmarks/compare_history.py`: what changed between two records of `make bench`, the last two unless named.

Numbers that differ by more than --from (a tenth) are printed, row by row. Compare ratios and shares between machines;
seconds only on one machine.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.report import markdown

HISTORY = Path(__file__).resolve().parent / "history"
NUMBER = re.compile(r"[-+]?[0-9][0-9,]*\.?[0-9]*(?:e[-+]?[0-9]+)?")


def rows_of(record: dict[str, Any]) -> dict[tuple[str, ...], dict[str, str]]:
    """Rows by benchmark and by the cells that are words."""
    rows = {}
    for name, tables in record["tables"].items():
        for row in (row for table in tables for row in table):
            words = tuple(cell for cell in row.values() if not NUMBER.match(cell))
            sizes = tuple(list(row.values())[:1])  # a first cell that is a number says how large
            rows[(name, *words, *sizes)] = row
    return rows


def changes(before: dict[str, Any], after: dict[str, Any], least: float) -> list[dict[str, str]]:
    old, lines = rows_of(before), []
    for key, row in rows_of(after).items():
        for column, cell in row.items():
            then, now = (NUMBER.match(text) for text in (old.get(key, {}).get(column, ""), cell))
            if not (then and now):
                continue
            first, second = (float(match[0].replace(",", "")) for match in (then, now))
            if first and abs(second / first - 1) > least:
                lines.append({
                    "row": ", ".join(dict.fromkeys(key)), "column": column, "before": old[key][column], "after": cell,
                    "ratio": f"{second / first:.2f}x",
                })  # fmt: skip
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, nargs="*", help="two files (the last two of benchmarks/history)")
    parser.add_argument("--from", type=float, default=0.1, dest="least")
    arguments = parser.parse_args()
    records = arguments.records or sorted(HISTORY.glob("*.json"))[-2:]
    if len(records) != 2:
        sys.exit(f"two records are compared, and there are {len(records)}: run `make bench`, or name two files")
    before, after = (json.loads(path.read_text()) for path in records)
    for name, record in (("before", before), ("after", after)):
        print(f"{name}: {record['date']}, {record['commit']}, {record['processor']}")
    changed = changes(before, after, arguments.least)
    print("\n" + (markdown(changed) if changed else f"no number differs by more than {100 * arguments.least:.0f}%"))


if __name__ == "__main__":
    main()
