"""The records of a run as a Markdown page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.gpu_parts.parts import PARTS
from benchmarks.report import markdown


def page(records: Sequence[Mapping[str, Any]], title: str) -> str:
    """Every part with the table of every check, the machine on top, and what failed in a list of its own."""
    machine = next((record["environment"] for record in records if "environment" in record), None)
    lines = [f"# {title}", ""]
    if machine:
        lines += [f"GPU: {machine['gpu']}", "", ", ".join(f"{name} {value}" for name, value in machine.items()), ""]
    last: dict[tuple[str, str], Mapping[str, Any]] = {}
    for record in records:
        for check in record.get("checks", ()):
            last.setdefault((record["part"], check), {"state": "skipped", "error": "no time was left"})
        if "check" in record:
            key = record["part"], record["check"]
            rows = last[key].get("rows", ()) if key in last else ()  # of a check that was killed, those before that
            last[key] = {"rows": rows, **record}
    lines += [*overview(last), ""]
    wrong = problems(records, last)
    if wrong:
        lines += ["## What is wrong", "", *wrong, ""]
    for name, part in PARTS.items():
        lines += [f"## {part.title}", ""]
        for (of, check), record in last.items():
            if of == name:
                took = f" ({record['seconds']:.1f} s)" if "seconds" in record else ""
                lines += [f"### {check}{took}", "", _content(record), ""]
    return "\n".join(lines)


def overview(last: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[str]:
    rows = []
    for name, part in PARTS.items():
        states = [record["state"] for (of, _), record in last.items() if of == name]
        count = {state: states.count(state) for state in ("done", "failed", "killed", "died", "skipped")}
        rows.append({"part": part.title, **{state: str(number) for state, number in count.items()}})
    return markdown(rows).splitlines()


def problems(records: Sequence[Mapping[str, Any]], last: Mapping[tuple[str, str], Mapping[str, Any]]) -> list[str]:
    """Checks that did not end well, rows that are not ok, and parts that died between two checks."""
    lines = []
    for (part, check), record in last.items():
        if record["state"] != "done":
            lines.append(f"- {part}, {check}: {record['state']}: {record.get('error', 'it has no end')}")
        lines += [
            f"- {part}, {check}: {', '.join(row.values())}" for row in record.get("rows", ()) if row.get("ok") == "no"
        ]
    lines += [f"- {r['part']}: {r['state']}: {r['error']}" for r in records if "check" not in r and "state" in r]
    return lines


def _content(record: Mapping[str, Any]) -> str:
    rows = [markdown(record["rows"])] if record.get("rows") else []
    if record["state"] != "done":
        return "\n\n".join([f"{record['state']}: {record.get('error', 'it has no end')}", *rows])
    return rows[0] if rows else "nothing to show"
