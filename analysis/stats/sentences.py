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
            return _of_one_seed(compared, base)
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


def _of_one_seed(compared: Sequence[Row], base: str) -> str:
    """The two largest differences that the test queries resolve; other seeds may differ from them."""
    words = "one seed, so no difference can be claimed"
    gaps = [(row, gap) for row in compared if (gap := row.difference) and gap.on_queries]
    ranked = sorted(gaps, key=lambda one: -abs(one[1].interval.mean))[:2]
    parts = [f"{row.label} is {gap.on_queries} than {base} by {abs(gap.interval.mean):.1f} {row.metric.unit}"
             for row, gap in ranked]  # fmt: skip
    return f"{words} of other seeds; on these queries {' and '.join(parts)}" if parts else words


def _claims(compared: Sequence[Row], base: str) -> list[str]:
    """The two largest differences that are shown, and how many more there are."""
    shown = [row for row in compared if row.difference and row.difference.shown]
    if not shown:
        return [f"no difference to {base} shown"]
    ranked = sorted(shown, key=lambda row: -abs(row.difference.interval.mean if row.difference else 0))
    parts = [
        f"{_with_caveat(row)} is {gap.verdict} than {base} by {abs(gap.interval.mean):.1f} {row.metric.unit}"
        for row in ranked[:2]
        if (gap := row.difference)
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
    parts = [
        f"{row.label}: {row.metric.name} {row.metric.show(level.mean)} [{level.low:.1f}, {level.high:.1f}], {seeds}"
    ]
    if row.difference:
        parts.append(difference_words(row))
    return "; ".join([*parts, cost or f"{row.minutes:.3g} min a run"])


def difference_words(row: Row) -> str:
    """Such as '-5.2 [-8.0, -2.4] points to the base: lower'; '' where nothing was compared."""
    if row.difference is None:
        return ""
    gap = row.difference.interval
    return f"{gap.mean:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}] {row.metric.unit} to the base: {row.difference.verdict}"


def seed_words(row: Row, seed: int) -> str:
    run = row.runs[seed]
    return f"{row.label}, seed {seed}: {row.metric.name} {row.metric.show(row.metric.of(run))} (run {run.id})"


def heading(summary: Summary) -> str:
    """The title of a figure whose footnote has the sweep's setting."""
    return summary.sweep.title.removesuffix(f" ({summary.sweep.changes})")


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
    chance = f"Chance: {summary.metric.show(summary.chance)}." if summary.metric.is_rank else ""
    parts = [bars, short, chance, f"Preset {summary.sweep.setting}.", also, summary.state()]
    return " ".join(part for part in parts if part)
