"""The version of the code that made a result: a digest of the source files that can change it.

Counted are the files that the command of a stage imports, except those that cannot change a result (NOT_COUNTED). Files
are compared as syntax trees without docstrings and log lines, so formatting and comments do not count. Records
(stage.json, finetuned.json, result.json, and code.json beside checkpoints) contain the digest of each stage that went
into them; results/code_versions/<digest>.json has the digest of each file, which explains differences.
"""

from __future__ import annotations

import ast
import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from simvtp.errors import ConfigError
from simvtp.runtime.files import read_json, write_json

log = logging.getLogger(__name__)

Stage = Literal["pretrain", "finetune", "evaluate"]
STAGES: tuple[Stage, ...] = ("pretrain", "finetune", "evaluate")

VERSIONS = "code_versions"  # folder below results
STARTED = "code.json"  # in the folder of a stage: the code that its checkpoints are of

ROOT = Path(__file__).resolve().parents[2]
# Config is part of the run's id; the others start, watch and report.
NOT_COUNTED = ("simvtp/__init__.py", "simvtp/cli.py", "simvtp/errors.py", "simvtp/config/", "simvtp/runtime/",
               "simvtp/inference/", "simvtp/training/progress.py", "simvtp/training/trackers.py",
               "simvtp/data/resolve.py", "simvtp/data/corpora/content.py")  # fmt: skip
COUNTED = (
    "simvtp/config/tube_counts.py",
    "simvtp/config/formats.py",
    "simvtp/runtime/constants.py",
    "simvtp/runtime/seeding.py",
    "simvtp/runtime/timm_compat.py",
)  # fmt: skip  (in spite of their folders)


class OtherCode(ConfigError):
    """A result or checkpoint was made by other code than the present one."""


@cache
def files_of(stage: Stage) -> Mapping[str, str]:
    """Path from the root -> digest of its syntax tree, of every counted file that the stage's command imports."""
    digests: dict[str, str] = {}
    todo, seen = [f"simvtp/{stage}.py"], set[str]()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        if name.startswith(NOT_COUNTED) and name not in COUNTED:
            continue
        digest, imported = _read((ROOT / name).read_bytes())
        digests[name] = digest
        todo += imported
    return dict(sorted(digests.items()))


def digest_of(stage: Stage) -> str:
    """Digest of the code of a stage."""
    return hashlib.sha256(json.dumps(files_of(stage)).encode()).hexdigest()[:12]


def current(stage: Stage, *, is_pretrained: bool) -> dict[str, str]:
    """The record of this code: stage -> digest, of the given stage and those before it."""
    stages = STAGES[: STAGES.index(stage) + 1]
    return {name: digest_of(name) for name in stages if is_pretrained or name != "pretrain"}


def keep(results: Path, code: Mapping[str, str]) -> None:
    """Record the files of this code, when a record with its digest is written."""
    for stage in STAGES:
        path = results / VERSIONS / f"{digest_of(stage)}.json"
        if code.get(stage) == digest_of(stage) and not path.exists():
            write_json(path, dict(files_of(stage)))


def changed_files(results: Path, recorded: Any, wanted: Mapping[str, str]) -> list[str]:
    """Files that differ between the code of a record and `wanted`, which is of this code; empty if none does.

    recorded: the `code` of a record, None if it has none.
    """
    if recorded == dict(wanted):
        return []
    changed: set[str] = set()
    for stage in STAGES:
        if stage in wanted:
            changed.update(_changed(results, stage, recorded.get(stage) if isinstance(recorded, Mapping) else None))
    return sorted(changed)


def _changed(results: Path, stage: Stage, digest: Any) -> Iterator[str]:
    if digest == digest_of(stage):
        return
    now, before = files_of(stage), dict[str, str]()
    for part in str(digest or "").split("+"):  # resumed by other code: both
        try:
            before |= read_json(results / VERSIONS / f"{part}.json")
        except (OSError, ValueError, TypeError):
            yield f"simvtp/{stage}.py or what it imports (which code it was is not recorded)"
            return
    differing = [name for name in now.keys() | before.keys() if now.get(name) != before.get(name)]
    yield from differing or [f"simvtp/{stage}.py or what it imports"]


def explain(what: str, files: list[str], *, redo: bool = True) -> str:
    """A message: what was made by other code, which files changed, and what to do. redo: whether to offer --redo."""
    named = ", ".join(files[:6]) + (f" and {len(files) - 6} more" if len(files) > 6 else "")
    return (
        f"{what} of other code than this; changed: {named}. To keep what is there and go on with this code, add "
        "--reuse-other-code; to keep it apart and train anew beside it, --tag NAME"
        + ("; to train it anew in its place, --redo" if redo else "")
    )


def dumped(source: bytes) -> str:
    """The syntax tree of a file after `strip`, as text that is the same in every version of Python."""
    tree = strip(ast.parse(source))
    for node in ast.walk(tree):
        if getattr(node, "type_params", None) == []:  # new in Python 3.12
            del node.type_params  # type: ignore[attr-defined]
    if sys.version_info >= (3, 13):
        return ast.dump(tree, show_empty=True)  # as before
    return ast.dump(tree)


def strip(tree: ast.Module) -> ast.Module:
    """Remove docstrings, log lines, and code that only the command line runs."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [line for line in body if not _is_silent(line)]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _is_silent(line: ast.stmt) -> bool:
    if isinstance(line, ast.FunctionDef):
        return line.name == "_main"
    if not isinstance(line, ast.Expr):
        return False
    if isinstance(line.value, ast.Constant):
        return True
    call = line.value.func if isinstance(line.value, ast.Call) else None
    return isinstance(call, ast.Attribute) and isinstance(call.value, ast.Name) and call.value.id == "log"


def _read(source: bytes) -> tuple[str, list[str]]:
    """Digest of a file's syntax tree, and the files of the project that it imports."""
    imported: list[str] = []
    for node in ast.walk(strip(ast.parse(source))):
        if isinstance(node, ast.Import):
            imported += [name for alias in node.names for name in _files(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                imported += _files(f"{node.module}.{alias.name}") or _files(node.module)
    return hashlib.sha256(dumped(source).encode()).hexdigest()[:12], imported


def _files(module: str) -> list[str]:
    if module.partition(".")[0] != "simvtp":
        return []
    path = module.replace(".", "/")
    return [name for name in (f"{path}.py", f"{path}/__init__.py") if (ROOT / name).is_file()]
