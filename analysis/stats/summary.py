"""A sweep and its runs -> the rows that every table and figure shows: level, interval, difference to the base."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.runs.load import Collection
from analysis.runs.schema import DIRECTIONS, Point, Run, Sweep
from analysis.stats.intervals import Difference, Interval, differences
from analysis.stats.metric import R1, Metric
from analysis.stats.per_query import level, stacked
from analysis.stats.published import VARIED, Published, published
from simvtp.config.fields import RUN
from simvtp.config.plugins.registry import IDS
from simvtp.config.run_id import CORPORA, content_of
from simvtp.config.schema import FIELDS

MAIN = "text_to_video"
WANTED = 3.0
_TEST_CORPUS = "data.finetune"
_AXES = 3  # of which the base's values are all named
_ERROR = 80  # letters of an error that tables and figures have room for; the report has all of it


@dataclass(frozen=True)
class Row:
    """One point of a sweep.

    runs: seed -> finished run; level: direction -> the metric with its interval; difference: of the metric, to the
    base, None for the base and where nothing pairs; published: what the paper has for this point; is_base: whether
    other rows are compared with it, the sweep's base or that of a corpus (`base_of`).
    """

    point: Point
    label: str
    runs: dict[int, Run]
    level: dict[str, Interval]
    difference: Difference | None
    published: Published | None
    metric: Metric = R1
    is_base: bool = False
    _means: dict[tuple[str, str, str], float] = field(default_factory=dict, repr=False, compare=False)  # of `mean`

    @property
    def seeds(self) -> int:
        """Number of finished seeds."""
        return len(self.runs)

    @property
    def main(self) -> Interval:
        """The metric with its interval; KeyError where no seed is finished."""
        return self.level[self.metric.direction]

    def score(self, split: str = "test") -> float:
        """The metric's mean over seeds, percent or rank; NaN if there is none, or where a run has no such split."""
        return self.mean(self.metric.name, self.metric.direction, split)

    def scores(self, split: str = "test") -> npt.NDArray[np.float64]:
        """[S]: the metric of each seed, percent; [0] where a run has no such split."""
        return self.values(self.metric.name, self.metric.direction, split)

    def values(self, name: str, direction: str = MAIN, split: str = "test") -> npt.NDArray[np.float64]:
        """[S]: one value a seed, percent (R@K) or rank (MdR, MnR); [0] where a run has no such split."""
        values = np.array([run.metric(name, direction, split) for run in self.runs.values()])
        return values if np.isfinite(values).all() else np.array([])

    def mean(self, name: str, direction: str = MAIN, split: str = "test") -> float:
        """Mean over seeds; NaN if there is none, or where a run has no such split."""
        key = (name, direction, split)
        if key not in self._means:  # every form of the table asks again
            values = [run.metric(name, direction, split) for run in self.runs.values()]
            self._means[key] = sum(values) / len(values) if values else math.nan
        return self._means[key]

    @property
    def minutes(self) -> float:
        """Minutes of a run as measured, its pre-training counted in full also where several runs shared it: the median
        of the seeds, since one run beside other work takes several times as long."""
        return float(np.median([run.minutes for run in self.runs.values()])) if self.runs else math.nan


@dataclass(frozen=True)
class Summary:
    """All rows of a sweep in the order of its points; rows without a finished run have no level."""

    sweep: Sweep
    rows: list[Row]
    missing: list[str]  # "video 95%, seed 1 (failed: ...)"
    planned: int
    unpretrained: Row | None  # the base fine-tuned without pre-training, from any sweep of the folder
    wanted: float = WANTED  # the difference, in points of the metric, that the number of seeds is judged by
    metric: Metric = R1

    @property
    def done(self) -> int:
        """Number of finished runs."""
        return self.planned - len(self.missing)

    @property
    def finished_rows(self) -> list[Row]:
        """Rows with a finished run."""
        return [row for row in self.rows if row.runs]

    @property
    def base(self) -> Row | None:
        """The row of the sweep's base; None while it has no finished run."""
        return next((row for row in self.finished_rows if row.point.base), None)

    @property
    def gallery(self) -> int:
        """Videos of the test gallery; 0 while nothing is finished."""
        runs = [run for row in self.rows for run in row.runs.values()]
        if not runs:
            return 0
        gallery = runs[0].metric("gallery")
        return int(gallery) if math.isfinite(gallery) else len(runs[0].ranks["video_to_text"])

    @property
    def queries(self) -> int:
        """Text queries of the test; 0 while nothing is finished."""
        runs = [run for row in self.rows for run in row.runs.values()]
        return len(runs[0].ranks[MAIN]) if runs else 0

    @property
    def chance(self) -> float:
        """The metric of guessing."""
        return self.metric.chance(self.gallery) if self.gallery else math.nan

    @property
    def seed_counts(self) -> str:
        """'3', or '2 to 3' where rows differ."""
        counts = sorted({row.seeds for row in self.finished_rows})
        return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}" if counts else "0"

    def state(self) -> str:
        """'' where all is finished, else what is missing."""
        if not self.missing:
            return ""
        first = sorted(self.missing, key=lambda name: "(failed" not in name)
        named = "; ".join(first[:8]) + (f"; and {len(self.missing) - 8} more" if len(self.missing) > 8 else "")
        return f"Unfinished: {self.done} of {self.planned} runs are done. Missing: {named}."


def summarise(
    sweep: Sweep, collection: Collection, wanted: float = WANTED, *, metric: Metric = R1, with_published: bool = True
) -> Summary:
    """Rows of a sweep from the runs of its collection; differences are Holm-corrected over the sweep.

    wanted: `Summary.wanted`. metric: what levels and differences are of. with_published: whether rows have the paper's
    figures, where it has some of their setting.
    """
    missing = []
    rows: list[tuple[Point, dict[int, Run]]] = [(point, {}) for point in sweep.points]
    for (index, seed), name in sorted(sweep.runs.items()):
        point, runs = rows[index]
        if name in collection.runs and (index, seed) not in sweep.refused:
            runs[seed] = collection.runs[name]
        else:
            missing.append(f"{point.label}, seed {seed}{_why(name, (index, seed), sweep, collection)}")
    base = next((runs for point, runs in rows if point.base), {})
    bases = {k: b for k in range(len(rows)) if (b := base_of(sweep, k)) is not None}
    compared = {k: (b, tuple(_paired(rows[k][1], rows[b][1]))) for k, b in bases.items()}
    compared = {k: (b, seeds) for k, (b, seeds) in compared.items() if seeds}
    against = {
        (b, seeds): stacked(rows[b][1], seeds, metric) for b, seeds in set(compared.values())
    }  # mostly one for all
    pairs = [(stacked(rows[k][1], seeds, metric), against[b, seeds]) for k, (b, seeds) in compared.items()]
    tested = dict(zip(compared, differences(pairs), strict=True))
    return Summary(
        sweep,
        [
            _row(sweep, point, runs, metric, tested.get(k), with_published=with_published, is_base=k not in bases)
            for k, (point, runs) in enumerate(rows)
        ],
        missing,
        len(sweep.runs),
        _unpretrained(sweep, collection, base, metric),
        wanted,
        metric,
    )


def base_of(sweep: Sweep, index: int) -> int | None:
    """Index of the point that a point is compared with; None for one that others are compared with.

    It is the sweep's base; on another test corpus the point with the base's settings there, if the sweep has it.
    """
    point = sweep.points[index]
    if _TEST_CORPUS in point.set:
        corpora = {key: value for key, value in point.set.items() if key in CORPORA}
        own = next((k for k, other in enumerate(sweep.points) if other.set == corpora), None)
        if own is not None:
            return own if own != index else None
    base = next((k for k, other in enumerate(sweep.points) if other.base), None)
    return base if base != index else None


def _why(name: str, key: tuple[int, int], sweep: Sweep, collection: Collection) -> str:
    if key in sweep.refused:
        return " (left out as not to be trusted)"
    if name not in collection.failures:
        return ""
    return f" (failed: {textwrap.shorten(collection.failures[name], _ERROR, placeholder=' ...')})"


def _paired(runs: dict[int, Run], base: dict[int, Run]) -> list[int]:
    """Seeds that both have and tested on the same queries."""
    return [seed for seed in sorted(runs.keys() & base.keys()) if runs[seed].same_queries(base[seed])]


def _row(
    sweep: Sweep, point: Point, runs: dict[int, Run], metric: Metric, difference: Difference | None, *,
    with_published: bool = False, is_base: bool = False,
) -> Row:  # fmt: skip
    levels = {way: level(runs, replace(metric, direction=way)) for way in DIRECTIONS if runs}
    shown = with_published and set(point.set) <= VARIED
    paper = published({**sweep.base, **point.set}, sweep.preset, runs.values()) if shown else None
    return Row(point, _label(sweep, point), runs, levels, difference, paper, metric, is_base)


def _label(sweep: Sweep, point: Point) -> str:
    """The point's label; of the base, also that it is the base, and at which values: of several axes, the shares."""
    if not point.base:
        return point.label
    if point.label != "base":
        return f"{point.label} (base)"
    fields = [FIELDS[axis] for axis in sweep.axes if axis in FIELDS and axis not in CORPORA]
    if len(fields) > _AXES:
        fields = [field for field in fields if field.unit == "share"]
    labels = [field.label for field in fields]
    names = [f"{field.section} {field.label}" if labels.count(field.label) > 1 else field.label for field in fields]
    values = [f"{name} {field.show(sweep.base[field.path])}" for name, field in zip(names, fields, strict=True)]
    return f"base ({', '.join(values)})" if values else "base"


def _finetune_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Settings that a run without pre-training depends on; all else may differ between it and the sweep."""

    def counts(key: str) -> bool:
        """Also a field of a plugin, by its section."""
        ids = FIELDS[key].in_id if key in FIELDS else IDS.get(key.partition(".")[0], ())
        return RUN in ids and key != "seed"

    return {
        key: content_of(key, value) if isinstance(value, str) else value for key, value in config.items() if counts(key)
    }


def _unpretrained(sweep: Sweep, collection: Collection, base: dict[int, Run], metric: Metric) -> Row | None:
    """Runs of the sweep's seeds without pre-training that are otherwise its base, tested on the same gallery."""
    wanted, seeds = _finetune_settings(dict(sweep.base)), {seed for _, seed in sweep.runs}
    candidates = [
        run
        for run in collection.runs.values()
        if run.pretrain is None and run.config["seed"] in seeds and _finetune_settings(dict(run.config)) == wanted
    ]
    like = next(iter([*base.values(), *candidates]), None)
    if like is None:
        return None
    runs = {
        int(run.config["seed"]): run
        for run in candidates
        if run.corpus.get("finetune") == like.corpus.get("finetune") and run.same_queries(like)
    }
    if not runs:
        return None
    point = Point("no pre-training", {"pretrain.length": "0 steps"}, False)
    return _row(sweep, point, dict(sorted(runs.items())), metric, None)
