"""The small table of a sweep's base: each objective beside its floor, retrieval beside baselines without learning."""

from __future__ import annotations

from analysis.stats import yardsticks
from analysis.stats.summary import Row, Summary
from analysis.tables.markdown import pipe_table

HEADINGS = ("base", "reached", "floor", "beside it", "verdict")
TITLE = "What the base has learned"
NOTE = (
    "Yardsticks, on held-out clips, means over seeds: MVM as squared error of normalised pixels, MLM, VTM and VTC in "
    "nats, R@1 in percent. Floor: what sees nothing. Learned: by the rules of simvtp/evaluation/yardsticks.py in every "
    "seed."
)
_PERCENT = ("accuracy", "recall")
_SHOWN = ("oracle", "linear", "copy", "wrong_caption", "wrong_video", *_PERCENT)


def rows(summary: Summary) -> list[list[str]]:
    """Cells under HEADINGS; none where the base has no yardsticks."""
    base = summary.base
    if base is None:
        return []
    lines = [_retrieval(base)] if yardsticks.retrieval(base) else []
    for one in yardsticks.of_row(base).values():
        beside = ", ".join(f"{_words(name)} {_number(name, one.values[name])}" for name in _SHOWN if name in one.values)
        reached, floor = (_number(name, one.values[name]) if name in one.values else "-" for name in ("loss", "floor"))
        lines.append([one.name, reached, floor, beside, one.verdict])
    return lines


def _retrieval(base: Row) -> list[str]:
    scores = yardsticks.retrieval(base)
    ridge = [
        f"ridge on {_words(name)} {value:.1f}" for name, value in scores.items() if name not in ("chance", "ceiling")
    ]
    ends = [f"ceiling {scores['ceiling']:.1f}"] if "ceiling" in scores else []
    chance = f"{scores['chance']:.2g}" if "chance" in scores else "-"
    return ["R@1 t→v", f"{base.mean('R@1'):.1f}", chance, ", ".join([*ridge, *ends]), ""]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _number(name: str, value: float) -> str:
    return f"{100 * value:.0f}%" if name in _PERCENT else f"{value:.3g}"


def cell(row: Row) -> str:
    """Of the table of all rows: 'yes', 'not learned: MVM, VTM', or '-' where nothing was measured."""
    if not yardsticks.of_row(row):
        return "-"
    missing = yardsticks.not_learned(row)
    return f"not learned: {', '.join(missing)}" if missing else "yes"


def markdown(summary: Summary) -> str:
    """The table; '' where the base has no yardsticks."""
    lines = rows(summary)
    return pipe_table(HEADINGS, lines) if lines else ""
