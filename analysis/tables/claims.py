"""The claims of SimVTP's abstract (arXiv 2212.03490) as a sweep `claims` answers them, by rules that read no figure.

docs/ablations.md has the rules in words. A row's difference is shown where its Holm-corrected interval leaves out 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analysis.stats import yardsticks
from analysis.stats.summary import Row, Summary
from analysis.tables import columns
from simvtp.errors import DataError

HEADINGS = ("claim", "rows: difference to the base", "here")
AGREES, DISAGREES, UNDECIDED = "agrees", "disagrees", "undecided"
MARGIN = 5.0  # points that count as nearly as good


def base_is_best(rows: Sequence[Row]) -> str:
    """Of a setting said to be best: agrees where a row is lower and none higher, disagrees where one is higher."""
    verdicts = {row.difference.verdict for row in rows if row.difference}
    return DISAGREES if "higher" in verdicts else AGREES if "lower" in verdicts else UNDECIDED


def base_is_better(rows: Sequence[Row]) -> str:
    """Of what is taken away in the rows: agrees where each is lower, disagrees where one is higher."""
    verdicts = [row.difference.verdict for row in rows if row.difference]
    return DISAGREES if "higher" in verdicts else AGREES if set(verdicts) == {"lower"} else UNDECIDED


def nearly_as_good(rows: Sequence[Row]) -> str:
    """Agrees where every difference is surely above -MARGIN points, disagrees where one is surely below."""
    gaps = [row.difference.interval for row in rows if row.difference]
    if any(gap.queries_only for gap in gaps):
        return UNDECIDED
    below = any(gap.high < -MARGIN for gap in gaps)
    return DISAGREES if below else AGREES if all(gap.low > -MARGIN for gap in gaps) else UNDECIDED


@dataclass(frozen=True)
class Claim:
    """words: what is claimed; rows: labels of the sweep; objectives: those that the base must have learned; rule: the
    finished rows -> AGREES, DISAGREES or UNDECIDED."""

    words: str
    rows: tuple[str, ...]
    objectives: tuple[str, ...]
    rule: Callable[[Sequence[Row]], str]


ALL = ("mvm", "mlm", "vtc", "vtm")
CLAIMS = (
    Claim("a high video ratio (90%) is best: equal steps", ("video 50%", "video 75%"), ("mvm",), base_is_best),
    Claim(
        "a high video ratio (90%) is best: equal compute",
        ("video 50%, equal compute", "video 75%, equal compute"),
        ("mvm",),
        base_is_best,
    ),
    Claim("a high text ratio (75%) is best", ("text 15%", "text 50%"), ("mlm",), base_is_best),
    Claim("VTC and VTM together help", ("no VTC, no VTM",), ("vtc", "vtm"), base_is_better),
    Claim("VTC helps (not claimed)", ("no VTC",), ("vtc",), base_is_better),
    Claim("VTM helps (not claimed)", ("no VTM",), ("vtm",), base_is_better),
    Claim("10% of the data is nearly as good: equal steps", ("data 10%",), ALL, nearly_as_good),
    Claim("10% of the data is nearly as good: equal epochs", ("data 10%, equal epochs",), ALL, nearly_as_good),
    Claim("pre-training helps: equal fine-tuning", ("no pre-training",), ALL, base_is_better),
    Claim("pre-training helps: equal compute", ("no pre-training, equal compute",), ALL, base_is_better),
)


def rows(summary: Summary) -> list[list[str]]:
    """A line for each claim; raises DataError where the sweep lacks one of its rows."""
    by_label = {row.label: row for row in summary.rows}
    lines = []
    for claim in CLAIMS:
        missing = [label for label in claim.rows if label not in by_label]
        if missing:
            raise DataError(f"{summary.sweep.folder} has no row {missing[0]!r}: it is no sweep of claims")
        members = [by_label[label] for label in claim.rows]
        shown = "; ".join(f"{row.label}: {columns.difference(row)}" for row in members)
        lines.append([claim.words, shown, _verdict(claim, members, summary.base)])
    return lines


def _verdict(claim: Claim, members: Sequence[Row], base: Row | None) -> str:
    if base is None or any(row.difference is None for row in members):
        return "not run yet"
    learned = yardsticks.of_row(base)
    lacking = [
        yardsticks.OBJECTIVES[key] for key in claim.objectives if key not in learned or not learned[key].is_learned
    ]
    if lacking:
        return f"not testable: {' and '.join(lacking)} not learned"
    return claim.rule(members)
