"""The columns of a sweep's table, and the table as Markdown and CSV (as LaTeX: analysis/tables/latex.py)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass

from analysis.stats import published, yardsticks
from analysis.stats.intervals import Difference, Interval
from analysis.stats.power import power_note
from analysis.stats.summary import MAIN, Row, Summary
from analysis.tables import yardsticks as yardstick_table
from analysis.tables.markdown import pipe_table

BACK = "video_to_text"


@dataclass(frozen=True)
class Column:
    """One column: a heading, the text of a cell, and where cells compete, their number and whether high is good."""

    heading: str
    text: Callable[[Row], str]
    group: str = ""
    number: Callable[[Row], float] | None = None
    high_is_good: bool = True


def one(value: float) -> str:
    """One decimal, or a dash if there is no number."""
    return "-" if math.isnan(value) else f"{value:.1f}"


def level(interval: Interval | None) -> str:
    """'19.8 ± 2.1'; the mark * where the interval covers test queries only."""
    if interval is None:
        return "-"
    return f"{interval.mean:.1f} ± {interval.half:.1f}" + ("*" if interval.queries_only else "")


def difference(row: Row) -> str:
    if row.difference is None:
        return "base" if row.is_base and row.runs else "-"
    shared = row.difference.interval.seeds
    return gap(row.difference) + (f" (n={shared})" if shared != row.seeds else "")


def gap(difference: Difference) -> str:
    """'-5.2 [-8.0, -2.4]'; the mark * where the interval covers test queries only."""
    bounds = difference.interval
    return f"{bounds.mean:+.1f} [{bounds.low:+.1f}, {bounds.high:+.1f}]" + ("*" if bounds.queries_only else "")


def columns(summary: Summary) -> list[Column]:
    """The columns that this sweep has something to show in."""

    def metric(name: str, direction: str) -> Column:
        def number(row: Row) -> float:
            return row.mean(name, direction)

        return Column(name, lambda row: one(number(row)), GROUPS[direction], number, name.startswith("R@"))

    def first(direction: str) -> Column:
        return Column("R@1", lambda row: level(row.level.get(direction)), GROUPS[direction],
                      lambda row: row.mean("R@1", direction))  # fmt: skip

    shown = [Column("", lambda row: row.label), Column("n", lambda row: str(row.seeds))]
    for direction in (MAIN, BACK):
        shown += [first(direction), *(metric(name, direction) for name in ("R@5", "R@10", "MdR"))]
    shown.append(Column("difference", difference, _AGAINST))
    shown.append(Column("verdict", lambda row: row.difference.verdict if row.difference else "",
                        _AGAINST))  # fmt: skip
    shown += [_split(split) for split in further_splits(summary)]
    if any(yardsticks.of_row(row) for row in summary.rows):
        shown.append(Column("learned", yardstick_table.cell))
    shown.append(Column("min/run", lambda row: one(row.minutes)))
    if any(row.published for row in summary.rows):
        shown.append(Column("paper", lambda row: one(row.published.metrics["R@1"]) if row.published else "-"))
    return shown


SEEN = "test_seen"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # as OWASP lists them for CSV injection


def further_splits(summary: Summary) -> list[str]:
    """What the test was also scored on or by, in some row: seen combinations first, then by name."""
    runs = [run for row in summary.finished_rows for run in row.runs.values()]
    splits = {split for run in runs for split in run.metrics if split.startswith("test_")} - {"test_last_epoch"}
    return sorted(splits, key=lambda split: (split != SEEN, split))


def _split(split: str) -> Column:
    """Its R@1, text-to-video."""
    return Column(split.removeprefix("test_").replace("_", " "), lambda row: one(row.mean("R@1", MAIN, split)))


_AGAINST = "R@1 t→v minus base"
GROUPS = {MAIN: "text-to-video", BACK: "video-to-text"}


def marks(summary: Summary, column: Column) -> dict[int, str]:
    """Index of a row -> 'best' or 'second', as shown (rounded); empty if fewer than two rows can be compared."""
    if column.number is None:
        return {}
    shown = {k: round(column.number(row), 1) for k, row in enumerate(summary.rows) if row.runs}
    ranked = sorted(set(shown.values()), reverse=column.high_is_good)
    if len(shown) < 2 or len(ranked) < 2:
        return {}
    return {k: ("best", "second")[ranked.index(v)] for k, v in shown.items() if v in ranked[:2]}


def notes(summary: Summary) -> list[str]:
    """Notes below the table, as plain sentences."""
    rows, sweep = summary.finished_rows, summary.sweep
    lines = [summary.state()] if summary.missing else []
    lines.append(
        f"Preset {sweep.preset}; test gallery of {summary.gallery} videos, chance R@1 {summary.chance:.2g}%; "
        "R@K in percent, MdR a rank; n seeds; best bold, second underlined."
    )
    if any(row.seeds > 1 for row in rows):
        lines.append(
            "± and [ ]: 95% intervals over seeds and test queries (paired bootstrap over queries, t over seeds); "
            "verdicts are Holm-corrected over the table."
        )
    lines += _not_compared(summary)
    if any(row.seeds == 1 or (row.difference and row.difference.interval.queries_only) for row in rows):
        lines.append("*: one seed, so the interval covers test queries only and no difference is claimed.")
    lines.append("min/run: median of the seeds, as measured; pre-training in full, also where several runs shared it.")
    further = further_splits(summary)
    if SEEN in further:
        lines.append("Seen: combinations that training showed; all other columns: combinations held out.")
    if scored := [column.heading for column in map(_split, further) if column.heading != "seen"]:
        lines.append(
            f"R@1 t→v of the same runs scored otherwise, beside and not in the comparison: {', '.join(scored)}."
        )
    if mixed := mixed_stages(summary):
        lines.append(f"Mixed code: {' and '.join(mixed)} of these runs are of different versions of the code.")
    if any(row.published for row in summary.rows):
        lines.append(f"{published.LABEL}. {published.SOURCE}; {published.CAUTION}.")
    if any(yardsticks.of_row(row) for row in rows):
        lines.append(yardstick_table.NOTE)
    note = power_note(summary)
    return [*lines, note] if note else lines


def mixed_stages(summary: Summary) -> list[str]:
    """Stages that different code carried out in runs of the table; a run without a record is of other code."""
    runs = [run for row in summary.finished_rows for run in row.runs.values()]
    of_stage = {"pretrain": [run for run in runs if run.pretrain], "finetune": runs, "evaluate": runs}
    return [stage for stage, users in of_stage.items() if len({run.code.get(stage) for run in users}) > 1]


def _not_compared(summary: Summary) -> list[str]:
    """Which differences are of fewer seeds than their rows, and why some rows have none."""
    base, lines = summary.base, []
    others = [row for row in summary.finished_rows if not row.is_base]
    if any(row.difference and row.difference.interval.seeds != row.seeds for row in others):
        lines.append("(n=) at a difference: it is over the seeds that row and base share, fewer than the row has.")
    alone = [row for row in others if row.difference is None]
    if alone and base is None:
        return [*lines, "-: no seed of the base is finished, so nothing is compared with it."]
    if base and any(row.runs.keys() & base.runs.keys() for row in alone):
        lines.append("-: tested on other queries than the base, so not compared with it.")
    if base and any(not row.runs.keys() & base.runs.keys() for row in alone):
        lines.append("-: no finished seed that the base has too, so not compared with it.")
    return lines


def markdown(summary: Summary) -> str:
    shown = columns(summary)
    heads = [f"{column.heading} {_SHORT.get(column.group, '')}".strip() for column in shown]
    lines = [f"# {summary.sweep.title}", "", f"`{summary.sweep.command}`", ""]
    body = []
    marked = [marks(summary, column) for column in shown]
    for k, row in enumerate(summary.rows):
        cells = []
        for column, mark in zip(shown, marked, strict=True):
            text = column.text(row)
            cells.append({"best": f"**{text}**", "second": f"_{text}_"}.get(mark.get(k, ""), text))
        body.append(cells)
    lines.append(pipe_table(heads, body, numbers=True))
    if small := yardstick_table.markdown(summary):
        lines += ["", f"{yardstick_table.TITLE}:", "", small]
    notes_ = [f"- {note}".replace("second underlined", "second in italics") for note in notes(summary)]
    return "\n".join([*lines, "", *notes_, ""])


_SHORT = {GROUPS[MAIN]: "t→v", GROUPS[BACK]: "v→t"}


def raw_csv(summary: Summary) -> str:
    """Raw numbers, one row a point; empty if there is none."""
    shown: list[dict[str, object]] = []
    further = [split for split in further_splits(summary) if split != SEEN]
    for row in summary.rows:
        cells: dict[str, object] = {"point": row.label, "base": int(row.point.base)}
        cells |= {axis: summary.sweep.value(row.point, axis) for axis in summary.sweep.axes}
        cells |= {"n": row.seeds, "seeds": " ".join(map(str, row.runs))}
        for direction in (MAIN, BACK):
            bounds = row.level.get(direction)
            cells |= {f"{direction}.{n}": row.mean(n, direction) for n in ("R@1", "R@5", "R@10", "MdR", "MnR")}
            cells |= {f"{direction}.R@1.{n}": getattr(bounds, n) if bounds else math.nan
                      for n in ("low", "high", "deviation")}  # fmt: skip
        gap = row.difference
        cells |= {f"difference.{n}": getattr(gap.interval, n) if gap else math.nan for n in ("mean", "low", "high")}
        cells |= {"difference.p": gap.p if gap else math.nan, "difference.p_holm": gap.adjusted_p if gap else math.nan,
                  "difference.seeds": gap.interval.seeds if gap else 0, "verdict": gap.verdict if gap else "",
                  "test_seen.R@1": row.mean("R@1", MAIN, "test_seen"),
                  "last_epoch.R@1": row.mean("R@1", MAIN, "test_last_epoch"), "minutes_per_run": row.minutes,
                  "published.R@1": row.published.metrics["R@1"] if row.published else math.nan,
                  "runs": " ".join(run.id for run in row.runs.values())}  # fmt: skip
        for key, one in yardsticks.of_row(row).items():
            cells |= {f"{key}.{name}": value for name, value in one.values.items()}
            cells |= {f"{key}.learned": one.learned, f"{key}.seeds": one.seeds}
        cells |= {f"{split}.R@1": row.mean("R@1", MAIN, split) for split in further}
        shown.append({name: _raw(value) for name, value in cells.items()})
    text = io.StringIO()
    names = list(dict.fromkeys(name for cells in shown for name in cells))  # rows may have measured different things
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(shown)
    return text.getvalue()


def _raw(value: object) -> object:
    """A number with ten digits, empty for NaN; text that a spreadsheet would take for a formula behind a quote."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.10g}"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
