"""A results folder as tidy pandas frames, for notebooks: runs, points of sweeps, ranks of queries, curves."""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.runs.load import Collection, load, log_lines
from analysis.runs.schema import DIRECTIONS, Run

if TYPE_CHECKING:
    import pandas as pd

_PLACES = ("time", "stage", "step", "steps", "epoch")  # of a line of a log: not what was measured there


def load_results(folder: str | Path) -> Results:
    """All valid results of a folder, as frames.

    folder: such as "results/". Results that are damaged, of another version or of another config than their sweep
    defines are listed in `Results.left_out` only. Raises DataError if the folder holds no finished run.
    """
    return Results(load(Path(folder).expanduser()))


class Results:
    """The frames of one results folder, each computed at its first use.

    They join on `run`, the id of a run: `results.points.merge(results.queries, on="run")` has the ranks of a sweep.

    collection: the same data as records, from which tables and figures are made.
    """

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row for each finished run.

        Columns: run, pretrain (id of its pre-training stage, None without one), preset; every setting by its name
        (`mask.video`, `seed`, ...); `SPLIT.DIRECTION.METRIC` such as `test.text_to_video.R@1` (percent for R@K, a rank
        for MdR and MnR), the same behind `controls.`; `cost.NAME` (seconds, steps, GFLOP), `corpus.NAME`,
        `losses.NAME` (the last of pre-training), `yardsticks.OBJECTIVE.NAME` (where the run measured them),
        `evaluators.NAME.NUMBER` (of plugins), epoch, epochs, finished.
        """
        import pandas as pd  # 0.3 s that no command needs

        return pd.DataFrame([_run_row(run) for run in self.collection.runs.values()])

    @cached_property
    def points(self) -> pd.DataFrame:
        """A row for each point and seed of each sweep, also where the run is not finished.

        Columns: sweep (its folder below sweeps/), name, preset, point (its label), base (whether it is the base),
        seed, run, state: 'finished', 'failed', 'missing', or 'left out' (not to be trusted).
        """
        import pandas as pd

        rows = []
        for sweep in self.collection.sweeps:
            for (index, seed), run in sweep.runs.items():
                point = sweep.points[index]
                refused = (index, seed) in sweep.refused
                rows.append({"sweep": sweep.folder, "name": sweep.name, "preset": sweep.preset, "point": point.label,
                             "base": point.base, "seed": seed, "run": run,
                             "state": "left out" if refused else self._state(run)})  # fmt: skip
        names = ["sweep", "name", "preset", "point", "base", "seed", "run", "state"]
        return pd.DataFrame(rows, columns=names)

    def _state(self, run: str) -> str:
        if run in self.collection.runs:
            return "finished"
        return "failed" if run in self.collection.failures else "missing"

    @cached_property
    def queries(self) -> pd.DataFrame:
        """A row for each query of the test, in each run and direction.

        Columns: run, direction ('text_to_video': captions ask for videos, or 'video_to_text'), query (its number:
        runs with equal `corpus.test` have the same queries), video (the number of the video that it belongs to), rank
        (of the right item, from 1).
        """
        import pandas as pd

        parts = []
        for run in self.collection.runs.values():
            for direction in DIRECTIONS:
                ranks = run.ranks[direction]
                query = np.arange(len(ranks))
                own = run.owners if run.owners is not None and direction == DIRECTIONS[0] else query
                parts.append(pd.DataFrame({"query": query, "video": own, "rank": ranks}).assign(
                    run=run.id, direction=direction))  # fmt: skip
        frame = pd.concat(parts, ignore_index=True)
        return frame.astype({"run": "category", "direction": "category"})[
            ["run", "direction", "query", "video", "rank"]
        ]

    @cached_property
    def curves(self) -> pd.DataFrame:
        """A row for each value that a run or its pre-training logged; empty if no log is left.

        Columns: run, stage ('pretrain', 'finetune', 'validation'), step, epoch (NaN if not logged), name ('loss',
        'mvm', 'R@1', ...), value. Where a resumed run logged a step twice, the later value counts.
        """
        import pandas as pd

        rows = []
        for run in self.collection.runs.values():
            for line in log_lines(run, self.collection.folder):
                row = {"run": run.id, "stage": line.get("stage"), "step": line.get("step", math.nan),
                         "epoch": line.get("epoch", math.nan)}  # fmt: skip
                rows += [row | {"name": name, "value": float(value)} for name, value in line.items()
                         if name not in _PLACES and isinstance(value, int | float)]  # fmt: skip
        names = ["run", "stage", "step", "epoch", "name", "value"]
        frame = pd.DataFrame(rows, columns=names)
        return frame.drop_duplicates(["run", "stage", "step", "name"], keep="last").reset_index(drop=True)

    @cached_property
    def left_out(self) -> pd.DataFrame:
        """Results that are in no other frame. Columns: where (the path inside the folder), why."""
        import pandas as pd

        return pd.DataFrame([(skip.where, skip.why) for skip in self.collection.skipped], columns=["where", "why"])


def _run_row(run: Run) -> dict[str, Any]:
    row: dict[str, Any] = {"run": run.id, "pretrain": run.pretrain, "preset": run.preset, **run.config}
    for prefix, splits in (("", run.metrics), ("controls.", run.controls)):
        for split, directions in splits.items():
            for direction, metrics in directions.items():
                row |= {f"{prefix}{split}.{direction}.{name}": value for name, value in metrics.items()}
    row |= {f"cost.{name}": value for name, value in run.cost.items()}
    row |= {f"corpus.{name}": value for name, value in run.corpus.items()}
    row |= {f"losses.{name}": value for name, value in (run.rest.get("losses") or {}).items()}
    for part, figures in run.yardsticks.items():
        row |= {f"yardsticks.{part}.{name}": value for name, value in figures.items()}
    for name, numbers in (run.rest.get("evaluators") or {}).items():  # of plugins
        row |= {f"evaluators.{name}.{number}": value for number, value in numbers.items()}
    return row | {name: value for name, value in run.rest.items() if name not in ("losses", "code", "evaluators")}
