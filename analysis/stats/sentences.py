"""Sentences about the results of rows, generated from the differences."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.stats import yardsticks
from analysis.stats.summary import Row, Summary


def against_base(rows: Sequence[Row], base: str = "the base") -> str:
    """Such as 'video 95% is lower than the base by 5.2 points; no other difference shown'.

    Of a row about an objective that it or the base has not learned nothing is claimed; a row that has not learned
    another says so.
    """
    compared = [row for row in rows if row.difference is not None]
    if not compared:
        return "nothing to compare yet"
    if all(row.difference and row.difference.interval.queries_only for row in compared):
        if all(row.seeds == 1 for row in compared):
            return "one seed, so no difference can be claimed"
        return "no row shares two seeds with the base, so no difference can be claimed"
    own = next((row for row in rows if row.is_base), None)
    unclaimed = {row.label: missing for row in compared if (missing := yardsticks.without_claim(row, own))}
    claimed = [row for row in compared if row.label not in unclaimed]
    parts = _claims(claimed, base) if claimed else []
    for objectives in sorted({" and ".join(missing) for missing in unclaimed.values()}):
        labels = [label for label, missing in unclaimed.items() if " and ".join(missing) == objectives]
        named = ", ".join(labels[:3]) + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")
        parts.append(f"nothing is claimed of {named}: {objectives} not learned")
    return "; ".join(parts)


def _claims(compared: Sequence[Row], base: str) -> list[str]:
    """The two largest differences that are shown, and how many more there are."""
    shown = [row for row in compared if row.difference and row.difference.shown]
    if not shown:
        return [f"no difference to {base} shown"]
    ranked = sorted(shown, key=lambda row: -abs(row.difference.interval.mean if row.difference else 0))
    parts = [
        f"{_with_caveat(row)} is {row.difference.verdict} than {base} by {abs(row.difference.interval.mean):.1f} points"
        for row in ranked[:2]
        if row.difference
    ]
    if len(shown) > 2:
        parts.append(f"{len(shown) - 2} more {'differs' if len(shown) == 3 else 'differ'}")
    if len(shown) < len(compared):
        parts.append("no other difference shown")
    return parts


def _with_caveat(row: Row) -> str:
    missing = yardsticks.not_learned(row)
    return f"{row.label} ({' and '.join(missing)} not learned)" if missing else row.label


def row_words(row: Row, cost: str = "") -> str:
    """A row's level, difference and cost (minutes, where none is given), as a figure says them under the pointer."""
    if not row.runs:
        return f"{row.label}: not finished"
    level, seeds = row.main, "1 seed, queries only" if row.seeds == 1 else f"{row.seeds} seeds"
    parts = [f"{row.label}: {row.metric.name} {level.mean:.1f}% [{level.low:.1f}, {level.high:.1f}], {seeds}"]
    if row.difference:
        parts.append(difference_words(row))
    return "; ".join([*parts, cost or f"{row.minutes:.3g} min a run"])


def difference_words(row: Row) -> str:
    """Such as '-5.2 [-8.0, -2.4] points to the base: lower'; '' where nothing was compared."""
    if row.difference is None:
        return ""
    gap = row.difference.interval
    return f"{gap.mean:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}] points to the base: {row.difference.verdict}"


def seed_words(row: Row, seed: int) -> str:
    run = row.runs[seed]
    return f"{row.label}, seed {seed}: {row.metric.name} {row.metric.of(run):.1f}% (run {run.id})"


def footnote(summary: Summary, also: str = "") -> str:
    """How to read the marks of a figure, and what is missing from it."""
    several = any(row.seeds > 1 for row in summary.finished_rows)
    queries = f"{summary.queries} test queries"
    interval = f"95% interval of {summary.metric.words}"
    bars = (
        f"Bars: {interval} over seeds and {queries}; n = {summary.seed_counts} seeds, small circles."
        if several
        else f"Bars: {interval} over {queries} only; n = 1 seed, whose own spread is not known."
    )
    lone = several and any(
        row.seeds == 1 or (row.difference and row.difference.interval.queries_only) for row in summary.finished_rows
    )
    short = "Of a single seed, or paired over one, they cover queries only and are too short." if lone else ""
    parts = [bars, short, f"Preset {summary.sweep.setting}.", also, summary.state()]
    return " ".join(part for part in parts if part)
