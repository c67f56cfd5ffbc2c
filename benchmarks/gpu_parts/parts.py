"""The parts of `make gpu` in their order, the report of their records, and the archive of the sweep's results."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.gpu_parts.checks import Row
from benchmarks.report import markdown

KEPT = (".json", ".jsonl", ".md", ".out")  # of the results folder, for the archive


@dataclass(frozen=True)
class Part:
    """modules: of this folder, whose CHECKS are run in this order. share: of the whole time; 0: all that is left."""

    title: str
    modules: tuple[str, ...]
    share: float


PARTS = {
    "correctness": Part("Correctness against the CPU", ("correctness", "waiting", "training"), 0.14),
    "step": Part("A step of preset base", ("base_step",), 0.26),
    "loader": Part("From files to the device", ("data_loading",), 0.1),
    "sweep": Part("The claims sweep of preset small", ("claims_sweep",), 0),
}


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


def results_of(out: str) -> Path:
    return Path(out) / "results"


def rows_of(results: Path, note: str) -> list[Row]:
    """One row for each point of the sweeps in a results folder: R@1 and seconds, means over the seeds that are done."""
    rows = []
    for file in sorted(results.glob("sweeps/*/sweep.json")):
        record = json.loads(file.read_text())
        for number, point in enumerate(record["points"]):
            planned = [run["run"] for run in record["runs"] if run["point"] == number]
            done = [
                json.loads(path.read_text()) for run in planned for path in results.glob(f"runs/**/{run}/result.json")
            ]
            recalls = [result["metrics"]["test"]["text_to_video"]["R@1"] for result in done]
            costs = [[result["cost"][f"{stage}_seconds"] for stage in ("pretrain", "finetune", "evaluate")]
                     for result in done]  # fmt: skip
            times = " + ".join(f"{mean(column):.1f}" for column in zip(*costs, strict=True))
            rows.append({
                "point": point["label"], "seeds done": f"{len(done)} of {len(planned)}",
                "R@1": ", ".join(f"{value:.1f}" for value in recalls),
                "seconds: pre-training + fine-tuning + test": times, "sweep": note,
            })  # fmt: skip
    return rows or [{"point": "none", "seeds done": "0", "R@1": "", "seconds: pre-training + fine-tuning + test": "",
                     "sweep": note}]  # fmt: skip


def archive(results: Path, file: Path) -> None:
    """What of the results folder is text, without weights, checkpoints and the copy of the code."""
    if not results.exists():
        return
    with tarfile.open(file, "w:gz") as opened:
        for path in sorted(results.rglob("*")):
            inside = path.relative_to(results)
            if path.suffix in KEPT and path.is_file() and inside.parts[0] != "code":
                opened.add(path, Path("results") / inside)
