"""results/ -> checked runs and sweeps (as pandas frames: analysis/runs/frames.py).

All data come from the run folders. Results that are cut, of an unknown version, in the wrong folder, of another config
than the sweep defines, or from another corpus are left out, counted and named: see `Collection.skipped`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from analysis.runs.schema import DIRECTIONS, Run, Sweep, Unreadable, read_json, read_run, read_sweep
from analysis.runs.text import is_plain_name, one_line, printable
from simvtp.config.run_dirs import RUNS, STAGES, folder_of, folders_of
from simvtp.config.run_id import run_id
from simvtp.config.schema import unflatten
from simvtp.errors import ConfigError, DataError

REFERENCE = "results/reference/"


@dataclass(frozen=True)
class Skip:
    """Something left out: its path inside the results folder, and why; both printable, on one line each."""

    where: str
    why: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", one_line(self.where))
        object.__setattr__(self, "why", one_line(self.why))


@dataclass
class Collection:
    """All of one results folder."""

    folder: Path
    runs: dict[str, Run] = field(default_factory=dict)
    sweeps: list[Sweep] = field(default_factory=list)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of `paper`: the folders of its sweeps
    searches: list[str] = field(default_factory=list)  # folders under sweeps/ that hold the journal of a search
    failures: dict[str, str] = field(default_factory=dict)  # run id -> one line, for runs without a result
    skipped: list[Skip] = field(default_factory=list)


def load(folder: Path) -> Collection:
    """Everything in a results folder; raises DataError if it holds no finished run at all."""
    collection = Collection(folder)
    if folder.is_dir():
        _load_runs(collection)
        _load_sweeps(collection)
        journals = [path for path in sorted(folder.glob("sweeps/*/study.journal")) if _is_search(path.parent)]
        collection.searches = [path.parent.name for path in journals if _has_plain_name(path.parent, collection)]
    if not collection.runs:
        raise DataError(_nothing(collection))
    return collection


def _is_search(folder: Path) -> bool:
    """Whether the journal of a folder under sweeps/ is of a search: a sweep keeps its own study as one too."""
    return (folder / "search.json").exists() or folder.name.startswith("search")


def _nothing(collection: Collection) -> str:
    folder = collection.folder
    state = "there is no such folder"
    if folder.exists():
        state = "it holds no finished run that can be read" if folder.is_dir() else "it is a file, not a folder"
    text = f"Nothing to show in {folder}: {state}."
    if collection.skipped:
        text += f" {len(collection.skipped)} left out, the first {collection.skipped[0].where}: "
        text += f"{collection.skipped[0].why}."
    if collection.failures:
        text += f" {len(collection.failures)} runs failed, the first with: {next(iter(collection.failures.values()))}."
    text += " Train some with `python sweeps/run.py mask_ratio`."
    reference = Path(__file__).resolve().parents[2] / REFERENCE
    if folder.resolve() != reference and folders_of(reference, RUNS):
        text += f" Or look at the committed reference: name {REFERENCE} instead of {folder}."
    return text


def _load_runs(collection: Collection) -> None:
    for folder in folders_of(collection.folder, RUNS):
        if not _has_plain_name(folder, collection):
            continue
        outcome = _read(folder)
        if isinstance(outcome, Run):
            collection.runs[folder.name] = outcome
        elif isinstance(outcome, Unreadable):
            collection.skipped.append(Skip(f"{folder.relative_to(collection.folder)}/", str(outcome)))
        elif outcome is not None:
            collection.failures[folder.name] = outcome


def _read(folder: Path) -> Run | Unreadable | str | None:
    """The run of a folder, why it cannot be trusted, or the line of its failure; None if it has neither."""
    path = folder / "result.json"
    try:
        if path.exists():
            return read_run(path)
        if (folder / "failure.json").exists():
            return one_line(read_json(folder / "failure.json").get("error", "no reason"))
    except Unreadable as problem:
        return problem
    except OSError as problem:  # of the folder itself: closed to us, a link to itself
        return Unreadable(f"cannot be read ({problem.strerror})")
    return None


def _has_plain_name(folder: Path, collection: Collection) -> bool:
    """Whether a folder's name can be part of paths, tables and LaTeX; where not, it is left out and named."""
    if is_plain_name(folder.name):
        return True
    where = printable(f"{folder.parent.relative_to(collection.folder)}/{folder.name}/")
    collection.skipped.append(
        Skip(where, "a folder name takes letters, digits, spaces and . _ + = , @ - only; rename it")
    )
    return False


def _load_sweeps(collection: Collection) -> None:
    for path in sorted((collection.folder / "sweeps").glob("*/sweep.json")):
        where = f"sweeps/{path.parent.name}/sweep.json"
        if not _has_plain_name(path.parent, collection):
            continue
        try:
            content = read_json(path)
            if "parts" in content:  # `paper`: its parts have folders of their own
                if not isinstance(content["parts"], list):
                    raise Unreadable(f"sweep.json: parts is {content['parts']!r}, not a list of folders")
                collection.parts[path.parent.name] = tuple(map(str, content["parts"]))
                continue
            sweep, doubles = read_sweep(path.parent.name, content)
        except Unreadable as problem:
            collection.skipped.append(Skip(where, str(problem)))
            continue
        collection.skipped += [Skip(where, why) for why in doubles]
        collection.sweeps.append(_trusted(sweep, collection))


def _trusted(sweep: Sweep, collection: Collection) -> Sweep:
    """The sweep without runs of another config than it defines, or of another training or test corpus."""
    refused: dict[tuple[int, int], str] = {}
    done = {key: collection.runs[name] for key, name in sweep.runs.items() if name in collection.runs}
    defined = [{**sweep.base, **point.set} for point in sweep.points]
    machine = {name: value for name, value in sweep.base.items() if name.startswith("machine.")}
    for key, run in done.items():
        wanted = {**defined[key[0]], "seed": key[1]}
        if {**run.config, **machine} != wanted and (wrong := _disagreement(wanted, run)):
            refused[key] = wrong
    for kind in ("test", "finetune", "pretrain"):
        groups: dict[tuple[Any, ...], dict[tuple[int, int], str]] = {}
        for key, run in done.items():
            if key not in refused and (mark := _corpus_mark(run, kind)):
                groups.setdefault(mark[0], {})[key] = mark[1]
        for members in groups.values():
            usual = Counter(members.values()).most_common(1)[0][0]
            for key, mine in members.items():
                if mine != usual:
                    refused[key] = f"its {kind} corpus is {mine}, that of the others {usual}; never averaged together"
    for key, why in refused.items():
        where = f"sweeps/{sweep.folder}, {sweep.points[key[0]].label}, seed {key[1]}, run {sweep.runs[key]}"
        collection.skipped.append(Skip(where, why))
    return replace(sweep, refused=frozenset(refused))


def _disagreement(wanted: Mapping[str, Any], run: Run) -> str | None:
    """Why the run is not of the wanted settings; None if it is. Settings of the machine may differ."""
    differing = [name for name in wanted.keys() | run.config.keys()
                 if not name.startswith("machine.") and wanted.get(name) != run.config.get(name)]  # fmt: skip
    if not differing:
        return None
    try:  # two configs may differ in what cannot matter, such as the mask of a run without pre-training
        if run_id(unflatten(wanted)) == run_id(unflatten(run.config)) == run.id:
            return None
    except ConfigError:
        pass  # a config of another version of the code: then only equal settings count as agreement
    name = min(differing)
    return f"its {name} is {run.config.get(name)!r}, the sweep's {wanted.get(name)!r}"


def _corpus_mark(run: Run, kind: str) -> tuple[tuple[Any, ...], str] | None:
    """What must agree (the key) and the fingerprint with the gallery's size; None if the run has no such corpus."""
    fingerprint = run.corpus.get(kind)
    if not fingerprint and kind != "test":  # how many queries there were counts in any case
        return None
    if kind == "pretrain":
        share = run.config.get("data.fraction")
        key = (run.config.get("data.pretrain"), share, run.config.get("seed") if share != 1 else None)
        return key, str(fingerprint)
    sizes = "/".join(str(len(run.ranks[way])) for way in DIRECTIONS)
    grouped = "" if run.owners is None else ", captions grouped by video"
    return (run.config.get("data.finetune"),), f"{fingerprint or 'not named'} ({sizes} queries{grouped})"


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log.jsonl; a line that is cut off (the run is being written, or was killed) is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = orjson.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines


def log_lines(run: Run, folder: Path) -> list[dict[str, Any]]:
    """What a run of the results folder logged: fine-tuning and validation, then pre-training, if it had one."""
    lines = read_log(folder_of(folder, RUNS, run.id) / "log.jsonl")
    return lines + (read_log(folder_of(folder, STAGES, run.pretrain) / "log.jsonl") if run.pretrain else [])
