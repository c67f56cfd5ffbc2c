"""The blocks of a page that are tables of results: `<!-- KIND SWEEP ... -->` to `<!-- end KIND SWEEP ... -->`.

KIND is one of:
  table SWEEP        point, seeds, R@1, difference to the base with its verdict, median rank
  seeds SWEEP        point, R@1 of each seed, difference
  grid SWEEP         R@1 over the product of the sweep's two axes; * where a difference is shown
  beside SWEEP ...   the differences of several sweeps, by the labels of the first one's points
  trials SEARCH      the finished trials of a search with their settings
  claims SWEEP       the paper's claims, with the differences that bear on each (analysis/tables/claims.py)
  yardsticks SWEEP   what the base reaches in each objective beside its floor, and whether it is learned
  power              of every sweep: seeds, the difference that they show, the seeds that a difference of 3 points takes
SWEEP is a folder below sweeps/. R@1 is text-to-video, in percent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from analysis.runs.load import Collection
from analysis.stats.power import power
from analysis.stats.summary import WANTED, Row, Summary, summarise
from analysis.tables import claims, columns, yardsticks
from analysis.tables.markdown import block_names, fill_block, pipe_table
from simvtp.errors import DataError, nearest

MEDIAN_RANK = "MdR"


def fill_blocks(page: str, collection: Collection) -> str:
    """The page with every block written anew; raises DataError that names a block that cannot be."""
    for name in block_names(page):
        page = fill_block(page, name, f"\n{block(name, collection)}\n")
    return page


def block(name: str, collection: Collection) -> str:
    """The Markdown table of a block's name; raises DataError."""
    kind, *sweeps = name.split()
    if kind not in _KINDS:
        raise DataError(f"block {name!r}: there is no kind {kind!r}{nearest(kind, _KINDS)}; kinds: {', '.join(_KINDS)}")
    return _KINDS[kind](sweeps, collection)


def _summaries(names: Sequence[str], collection: Collection) -> list[Summary]:
    sweeps = {sweep.folder: sweep for sweep in collection.sweeps}
    for name in names:
        if name not in sweeps:
            raise DataError(f"{collection.folder} has no sweep {name!r}{nearest(name, sweeps)}")
    return [summarise(sweeps[name], collection) for name in names]


def _one(names: Sequence[str], collection: Collection) -> Summary:
    if len(names) != 1:
        raise DataError(f"a block of this kind names one sweep, not {len(names)}: {' '.join(names)}")
    return _summaries(names, collection)[0]


def _difference(row: Row) -> str:
    """'-5.2 [-8.0, -2.4], lower', or 'base'."""
    return columns.difference(row) + (f", {row.difference.verdict}" if row.difference else "")


def _table(names: Sequence[str], collection: Collection) -> str:
    rows = [[row.label, str(row.seeds), columns.level(row.level.get(columns.MAIN)), _difference(row),
             columns.one(row.mean(MEDIAN_RANK))] for row in _one(names, collection).rows]  # fmt: skip
    return pipe_table(("point", "seeds", "R@1", "difference", "median rank"), rows)


def _yardsticks(names: Sequence[str], collection: Collection) -> str:
    lines = yardsticks.rows(_one(names, collection))
    if not lines:
        raise DataError(f"the base of {names[0]} has no yardsticks: its runs did not measure them")
    return pipe_table(yardsticks.HEADINGS, lines)


def _claims(names: Sequence[str], collection: Collection) -> str:
    return pipe_table(claims.HEADINGS, claims.rows(_one(names, collection)))


def _seeds(names: Sequence[str], collection: Collection) -> str:
    rows = [[row.label, ", ".join(columns.one(run.metric("R@1")) for _, run in sorted(row.runs.items())),
             _difference(row)] for row in _one(names, collection).rows]  # fmt: skip
    return pipe_table(("point", "R@1 of each seed", "difference"), rows)


def _grid(names: Sequence[str], collection: Collection) -> str:
    summary = _one(names, collection)
    sweep = summary.sweep
    if len(sweep.axes) != 2:
        raise DataError(f"block 'grid {names[0]}': the sweep has {len(sweep.axes)} axes; a grid has two")
    cells = {tuple(sweep.value(row.point, axis) for axis in sweep.axes): row for row in summary.rows}
    across, down = (sorted({key[k] for key in cells}) for k in range(2))
    rows = [[_value(y), *(_cell(cells.get((x, y))) for x in across)] for y in down]
    return pipe_table((f"{sweep.axes[1]} \\ {sweep.axes[0]}", *map(_value, across)), rows)


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(row: Row | None) -> str:
    if row is None or not row.runs:
        return "-"
    mark = " (base)" if row.point.base else " *" if row.difference and row.difference.shown else ""
    return columns.level(row.level[columns.MAIN]) + mark


def _beside(names: Sequence[str], collection: Collection) -> str:
    if not names:
        raise DataError("block 'beside' names the sweeps that stand beside each other")
    summaries = _summaries(names, collection)
    tables = [{_key(row): row for row in summary.rows} for summary in summaries]
    rows = [[row.label, *(_beside_cell(table.get(_key(row))) for table in tables)] for row in summaries[0].rows]
    return pipe_table(("point", *names), rows)


def _key(row: Row) -> str:
    return "base" if row.point.base else row.label


def _beside_cell(row: Row | None) -> str:
    if row is None:
        return "-"
    return columns.level(row.level.get(columns.MAIN)) if row.point.base else _difference(row)


def _trials(names: Sequence[str], collection: Collection) -> str:
    from analysis.runs import journal  # imports Optuna

    if len(names) != 1 or names[0] not in collection.searches:
        raise DataError(
            f"{collection.folder} has no search {' '.join(names)!r}{nearest(' '.join(names), collection.searches)}"
        )
    study = journal.read(collection.folder / "sweeps" / names[0] / "study.journal")
    trials = sorted(journal.finished(study), key=lambda trial: trial.number)
    rows = [[str(trial.number), columns.one(journal.value_of(trial)), journal.settings(trial)] for trial in trials]
    return pipe_table(("trial", "validation R@1", "settings"), rows)


def _power(names: Sequence[str], collection: Collection) -> str:
    rows = []
    for summary in _summaries(names or [sweep.folder for sweep in collection.sweeps], collection):
        result = power(summary)
        if result is not None:
            needed = "-" if result.needed is None else str(result.needed)
            rows.append([summary.sweep.folder, str(result.seeds), columns.one(result.shown), needed])
    return pipe_table(("sweep", "seeds", "points shown with 80%", f"seeds for {WANTED:g} points"), rows)


_KINDS: Mapping[str, Callable[[Sequence[str], Collection], str]] = {
    "table": _table, "seeds": _seeds, "grid": _grid, "beside": _beside, "trials": _trials, "power": _power,
    "yardsticks": _yardsticks, "claims": _claims,
}  # fmt: skip
