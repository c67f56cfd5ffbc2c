"""One result.json or sweep.json -> a checked record, or Unreadable with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from analysis.runs.metric_names import DIRECTIONS, METRICS
from analysis.runs.text import changed_settings, is_plain_name, one_line, printable
from simvtp.config.schema import completed
from simvtp.errors import DataError

VERSION = 1
_NUMBERS: frozenset[type] = frozenset({int, float})
_MEASURED: frozenset[type] = frozenset({int, float, bool})
_PLAIN: frozenset[type] = frozenset({int, float, bool, str, type(None)})
_COSTS = ("pretrain_seconds", "pretrain_steps", "pretrain_gflop", "finetune_seconds", "evaluate_seconds", "devices")
_ROUNDING = 0.06  # percentage points between a stored R@1 and the one of its ranks


class Unreadable(DataError):
    """A file that cannot be used; the message says why."""


@dataclass(frozen=True)
class Run:
    """One finished run, from its result.json."""

    id: str
    preset: str
    pretrain: str | None
    config: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    controls: Mapping[str, Mapping[str, Mapping[str, float]]]
    ranks: Mapping[str, npt.NDArray[np.float32]]  # of the test split, by direction
    corpus: Mapping[str, str | None]
    cost: Mapping[str, Any]
    rest: Mapping[str, Any]  # epoch, epochs, losses, finished
    owners: npt.NDArray[np.intp] | None = None  # [Q]: the video of each caption, where some have several
    yardsticks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # retrieval, and each objective measured

    @property
    def code(self) -> Mapping[str, str]:
        """Stage -> digest of the code that carried it out; empty if that is not recorded."""
        recorded = self.rest.get("code")
        return recorded if isinstance(recorded, dict) else {}

    def metric(self, name: str, direction: str = "text_to_video", split: str = "test") -> float:
        """Percent (R@K) or rank (MdR, MnR); NaN if the run has no such split."""
        return float(self.metrics.get(split, {}).get(direction, {}).get(name, math.nan))

    def hits(self, direction: str = "text_to_video", first: int = 1) -> npt.NDArray[np.float32]:
        """[Q]: 100 where the right item is among the first `first`, else 0; [videos] as in `by_video`."""
        hits = np.where(self.ranks[direction] <= first, np.float32(100), np.float32(0))
        return self.by_video(hits, direction)

    def by_video(self, values: npt.NDArray[np.float32], direction: str) -> npt.NDArray[np.float32]:
        """[Q] values of queries; [videos] of captions of which a video has several, since these are not independent.

        A value of a video varies as the sum of its queries does, and the mean over videos is that over queries (the
        linearised ratio of cluster sampling: Cochran 1977, section 9A).
        """
        if self.owners is None or direction != "text_to_video":
            return values
        queries, mean = np.bincount(self.owners), values.mean(dtype=np.float64)
        apart = np.bincount(self.owners, weights=values) - mean * queries
        return (mean + apart * len(queries) / len(values)).astype(np.float32)

    def same_queries(self, other: Run) -> bool:
        """Whether both were tested on the same queries in the same order, so that a difference can be paired."""
        same = self.corpus.get("test") == other.corpus.get("test")
        same = same and all(len(self.ranks[way]) == len(other.ranks[way]) for way in DIRECTIONS)
        if self.owners is None or other.owners is None:
            return same and self.owners is other.owners
        return same and np.array_equal(self.owners, other.owners)

    @property
    def minutes(self) -> float:
        """Minutes of pre-training, fine-tuning and evaluation together."""
        return sum(float(self.cost.get(f"{stage}_seconds") or 0) for stage in ("pretrain", "finetune", "evaluate")) / 60

    @property
    def device_minutes(self) -> float:
        """Minutes by number of devices: what is paid for."""
        return self.minutes * int(self.cost.get("devices") or 1)

    @property
    def device(self) -> str:
        """'CPU', 'GPU', or what else the run names."""
        name = str(self.cost.get("device", "device"))
        return {"cpu": "CPU", "cuda": "GPU"}.get(name, name)


@dataclass(frozen=True)
class Point:
    label: str
    set: Mapping[str, Any]
    base: bool


@dataclass(frozen=True)
class Sweep:
    """sweep.json. `runs` maps (index of the point, seed) to a run id, also of runs that are not finished."""

    folder: str
    name: str
    preset: str
    title: str
    changes: str  # what --set changed in its base, such as 'pretrain.length=182 steps'
    command: str
    axes: tuple[str, ...]
    base: Mapping[str, Any]
    points: tuple[Point, ...]
    runs: Mapping[tuple[int, int], str]
    refused: Set[tuple[int, int]] = frozenset()  # of runs of another config or corpus than the sweep defines

    @property
    def setting(self) -> str:
        """Its preset, and what was changed in it."""
        return ", ".join(filter(None, (self.preset, self.changes)))

    def value(self, point: Point, axis: str) -> Any:
        return point.set.get(axis, self.base.get(axis))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; raises Unreadable."""
    try:
        content = orjson.loads(path.read_bytes())
    except OSError as problem:
        raise Unreadable(f"{path.name} cannot be read ({problem})") from problem
    except ValueError as problem:
        raise Unreadable(f"{path.name} is not whole JSON ({problem})") from problem
    if not isinstance(content, dict):
        raise Unreadable(f"{path.name} is not a JSON object")
    return content


def _need_version(content: Mapping[str, Any], name: str) -> None:
    if content.get("version") != VERSION:
        raise Unreadable(f"{name} is of version {content.get('version')!r}; this code reads version {VERSION}")


def read_run(path: Path) -> Run:
    """runs/<id>/result.json -> Run; raises Unreadable if it cannot be trusted."""
    content = read_json(path)
    _need_version(content, "result.json")
    if content.get("run") != path.parent.name:
        raise Unreadable(f"its result.json is of run {content.get('run')!r}, not of this folder")
    try:
        _check_form(content)
        metrics, config = content["metrics"], content["config"]
        ranks = {way: np.asarray(content["ranks"]["test"][way], dtype=np.float32) for way in DIRECTIONS}
        for way in DIRECTIONS:
            _check_ranks(ranks[way], metrics["test"][way], way)
        rest = {name: content.get(name) for name in ("epoch", "epochs", "losses", "finished", "code", "evaluators")}
        owners = _owners(content.get("owners"), *(len(ranks[way]) for way in DIRECTIONS))
        return Run(
            id=content["run"],
            preset=content["preset"],
            pretrain=content["pretrain"],
            config=completed(config),
            metrics=metrics,
            controls=content.get("controls") or {},
            ranks=ranks,
            corpus=dict(content["corpus"]),
            cost=dict(content["cost"]),
            rest=rest,
            owners=owners,
            yardsticks=_yardsticks(content.get("yardsticks")),
        )
    except KeyError as problem:
        raise Unreadable(f"result.json lacks {problem}") from problem
    except (TypeError, ValueError, AttributeError, IndexError) as problem:
        raise Unreadable(f"result.json: {problem}") from problem


def _yardsticks(stored: Any) -> dict[str, dict[str, Any]]:
    """Part -> its figures; empty if a run measured none. What is no number (NaN is null in JSON) is left out."""
    parts = {name: part for name, part in _mapping(stored or {}, "yardsticks").items() if isinstance(part, dict)}
    return {name: {key: value for key, value in part.items() if type(value) in _MEASURED}
            for name, part in parts.items()}  # fmt: skip


def _check_form(content: Mapping[str, Any]) -> None:
    """Raises ValueError, naming the field, if a value is not of the kind that all commands count on."""
    for name in ("metrics", "controls"):
        for split, ways in _mapping(content.get(name) or {}, name).items():
            for way, scores in _mapping(ways, f"{name}.{split}").items():
                _need(_mapping(scores, f"{name}.{split}.{way}"), f"{name}.{split}.{way}", _NUMBERS, "number")
    for name, numbers in _mapping(content.get("evaluators") or {}, "evaluators").items():
        _need(_mapping(numbers, f"evaluators.{name}"), f"evaluators.{name}", _NUMBERS, "number")
    _need(_mapping(content.get("losses") or {}, "losses"), "losses", _PLAIN, "plain value")
    _need(_mapping(content["config"], "config"), "config", _PLAIN, "plain value")
    _need(_mapping(content["corpus"], "corpus"), "corpus", _PLAIN, "plain value")
    cost = _mapping(content["cost"], "cost")
    _need({name: cost.get(name) or 0 for name in _COSTS}, "cost", _NUMBERS, "number")
    if type(content["config"].get("seed")) is not int:
        raise ValueError(f"config.seed is {content['config'].get('seed')!r}, not a whole number")
    if not isinstance(content["preset"], str):
        raise ValueError(f"preset is {content['preset']!r}, not a name")
    stage = content["pretrain"]
    if stage is not None and not (isinstance(stage, str) and is_plain_name(stage)):
        raise ValueError(f"pretrain is {stage!r:.60}, not an id")


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {value!r:.60}, not an object")
    return value


def _need(values: Mapping[str, Any], name: str, kinds: frozenset[type], word: str) -> None:
    if not kinds.issuperset(map(type, values.values())):
        key = next(key for key, value in values.items() if type(value) not in kinds)
        raise ValueError(f"{name}.{key} is {values[key]!r:.60}, not a {word}")


def _owners(stored: Any, captions: int, videos: int) -> npt.NDArray[np.intp] | None:
    if stored is None:
        return None
    owners = np.asarray(stored, dtype=np.intp)
    if owners.shape != (captions,) or set(owners.tolist()) != set(range(videos)):
        raise ValueError(f"owners do not name one of {videos} videos for each of {captions} captions")
    return owners


def _check_ranks(ranks: npt.NDArray[np.float32], metrics: Mapping[str, float], way: str) -> None:
    # Written so that a NaN, for which no comparison holds, is refused.
    if ranks.ndim != 1 or not ranks.size or not (ranks.min() >= 1 and ranks.max() < math.inf):
        raise ValueError(f"ranks.test.{way} is not a list of ranks from 1")
    wrong = [name for name in METRICS if not math.isfinite(float(metrics[name]))]
    if wrong:
        raise ValueError(f"metrics.test.{way}.{wrong[0]} is not a number")
    for first in (1, 5, 10):
        counted, stored = 100 * int(np.count_nonzero(ranks <= first)) / ranks.size, float(metrics[f"R@{first}"])
        if abs(counted - stored) > _ROUNDING:
            raise ValueError(f"metrics.test.{way}.R@{first} is {stored}, but its ranks give {counted:.2f}")
    middle = float(metrics["MdR"])
    if 2 * max(int(np.count_nonzero(ranks < middle)), int(np.count_nonzero(ranks > middle))) > ranks.size:
        raise ValueError(f"metrics.test.{way}.MdR is {middle}, but that is not the middle of its ranks")


def read_sweep(folder: str, content: Mapping[str, Any]) -> tuple[Sweep, list[str]]:
    """Content of sweeps/<folder>/sweep.json -> Sweep, and what it names twice; raises Unreadable."""
    _need_version(content, "sweep.json")
    try:
        points = tuple(Point(one_line(p["label"]), dict(p["set"]), bool(p["base"])) for p in content["points"])
        if not points:
            raise ValueError("it has no points")
        base, axes = completed(content["base"]), content["axes"]
        if not isinstance(axes, list):
            raise ValueError(f"axes is {axes!r}, not a list")
        if lacking := [axis for axis in axes if axis not in base]:
            raise ValueError(f"its base lacks the axis {lacking[0]!r}")
        runs: dict[tuple[int, int], str] = {}
        doubles = []
        for entry in content["runs"]:
            key = (_whole(entry, "point"), _whole(entry, "seed"))
            if not 0 <= key[0] < len(points):
                raise ValueError(f"run {entry['run']} is of point {key[0]}; there are points 0 to {len(points) - 1}")
            label = points[key[0]].label
            if key in runs and runs[key] != entry["run"]:
                doubles.append(f"{label}, seed {key[1]} is named twice; run {entry['run']} is left out")
            runs.setdefault(key, str(entry["run"]))
        changes = changed_settings(str(content["command"]))
        sweep = Sweep(
            folder=folder,
            name=one_line(content["name"]),
            preset=one_line(content["preset"]),
            title=one_line(content["title"])
            + (f" ({changes})" if changes else ""),  # or two of one name would look alike
            changes=changes,
            command=printable(str(content["command"])),
            axes=tuple(axes),
            base=base,
            points=points,
            runs=runs,
        )
        return sweep, doubles
    except KeyError as problem:
        raise Unreadable(f"sweep.json lacks {problem}") from problem
    except (TypeError, ValueError, IndexError, AttributeError) as problem:
        raise Unreadable(f"sweep.json is not what a sweep writes: {problem}") from problem


def _whole(entry: Mapping[str, Any], name: str) -> int:
    if type(entry[name]) is not int:
        raise ValueError(f"{name} of run {entry['run']} is {entry[name]!r}, not a whole number")
    return int(entry[name])
