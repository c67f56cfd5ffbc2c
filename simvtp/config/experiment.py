"""One run: its config, its ids and its folders. Every stage takes an `Experiment`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from simvtp.config import code_version
from simvtp.config.code_version import STARTED, OtherCode, Stage
from simvtp.config.run_dirs import RUNS, STAGES, folder_of
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import Config, flatten, unflatten
from simvtp.errors import ConfigError, DataError
from simvtp.runtime.files import read_json, write_json

log = logging.getLogger(__name__)

# The file that exists once a stage is done; it names the code.
RECORDS: dict[Stage, str] = {"pretrain": "stage.json", "finetune": "finetuned.json", "evaluate": "result.json"}
_MADE: dict[Stage, tuple[str, ...]] = {
    "pretrain": ("stage.json", "weights.safetensors", STARTED, "log.jsonl", "checkpoints/step-*.pt"),
    "finetune": ("result.json", "finetuned.json", "*.safetensors", STARTED, "log.jsonl", "checkpoints/step-*.pt"),
    "evaluate": ("result.json",),
}


def discard(folder: Path, stage: Stage) -> None:
    """Delete the files of a stage, its record first, and the files that depend on them."""
    for pattern in _MADE[stage]:
        for path in folder.glob(pattern):
            path.unlink(missing_ok=True)


def read_config(folder: Path) -> tuple[Config, str]:
    """The config of a run or stage from its folder, and the name of its preset.

    Raises DataError that names the file if there is none, or it is not one of this version.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise DataError(f"{path} is not there; name the folder of a run or stage, such as results/runs/ID")
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("config"), dict):
        raise DataError(f"{path} holds no config; is it of a run or stage?")
    try:
        return unflatten(content["config"]), str(content.get("preset", ""))
    except ConfigError as error:
        raise DataError(f"{path}: {error}") from error


def _code_of(record: Path) -> dict[str, str] | None:
    """The code that a record names; None if it names none, or cannot be read."""
    try:
        content = read_json(record)
    except (OSError, ValueError):
        return None
    code = content if record.name == STARTED else content.get("code") if isinstance(content, dict) else None
    return code if isinstance(code, dict) else None


@dataclass(frozen=True)
class Experiment:
    """A run with its place on disk.

    config: what is run.
    preset: name of the preset that the config departs from; kept in config.json and result.json.
    results: folder below which runs and pre-training stages lie.
    """

    config: Config
    preset: str
    results: Path

    @cached_property
    def id(self) -> str:
        """Id of the run."""
        return run_id(self.config)

    @cached_property
    def dir(self) -> Path:
        """Folder of the run, there or not yet."""
        return folder_of(self.results, RUNS, self.id)

    @cached_property
    def pretrain_id(self) -> str | None:
        """Id of the pre-training stage, which runs may share; None if the config has none."""
        return pretrain_id(self.config)

    @cached_property
    def pretrain_dir(self) -> Path | None:
        """Folder of the pre-training stage, there or not yet; None if the config has none."""
        return None if self.pretrain_id is None else folder_of(self.results, STAGES, self.pretrain_id)

    def code(self, stage: Stage) -> dict[str, str]:
        """The record of this code for a stage (simvtp/config/code_version.py)."""
        return code_version.current(stage, is_pretrained=self.config.is_pretrained)

    def is_done(self, stage: Stage, *, is_locked: bool = False) -> bool:
        """Whether the stage's record is there and may be used: machine.other_code says what of other code may.

        is_locked: whether the caller holds the stage's lock. With redo, what is of other code is not done, and is
        deleted under the lock alone. Raises OtherCode if it is of other code and machine.other_code is refuse.
        """
        folder = self._folder(stage)
        path = folder / RECORDS[stage]
        if not path.exists():
            return False
        return self._settle(stage, path, f"{folder} is a result", is_locked=is_locked) != "redone"

    def begin(self, stage: Stage) -> None:
        """Before a stage starts: write its config.json, and handle checkpoints of other code like `is_done`.

        The caller holds the stage's lock.
        """
        folder = self._folder(stage)
        self.write_config(folder)
        started, code = folder / STARTED, self.code(stage)
        what = f"{folder} has checkpoints"
        if self._has_checkpoints(stage) and self._settle(stage, started, what, is_locked=True) == "reused":
            before = _code_of(started) or {}
            code = {
                name: new if before.get(name) == new else f"{before.get(name, '')}+{new}" for name, new in code.items()
            }
        code_version.keep(self.results, self.code(stage))
        write_json(started, code)

    def code_used(self, stage: Stage) -> dict[str, str]:
        """The code of a stage that has begun, for its record; several digests if other code resumed it."""
        return _code_of(self._folder(stage) / STARTED) or self.code(stage)

    def changed_files(self, stage: Stage) -> list[str]:
        """Files in which the code of a stage's record or checkpoints differs from this code; often none."""
        record = self._folder(stage) / RECORDS[stage]
        if not record.exists():
            if not self._has_checkpoints(stage):
                return []
            record = self._folder(stage) / STARTED
        return code_version.changed_files(self.results, _code_of(record), self.code(stage))

    def _has_checkpoints(self, stage: Stage) -> bool:
        return stage != "evaluate" and any(self._folder(stage).glob("checkpoints/step-*.pt"))

    def _folder(self, stage: Stage) -> Path:
        if stage != "pretrain":
            return self.dir
        assert self.pretrain_dir is not None
        return self.pretrain_dir

    def _settle(self, stage: Stage, record: Path, what: str, *, is_locked: bool) -> str:
        """ "same", "reused" or "redone"; raises OtherCode."""
        files = code_version.changed_files(self.results, _code_of(record), self.code(stage))
        policy = self.config.machine.other_code
        if not files:
            return "same"
        if policy == "refuse":
            raise OtherCode(code_version.explain(what, files))
        if policy == "reuse":
            log.warning("%s of other code, and is used (--reuse-other-code)", what)
            return "reused"
        if is_locked:
            log.info("%s of other code, and is made anew (--redo)", what)
            discard(self._folder(stage), stage)
        return "redone"

    def write_config(self, folder: Path) -> None:
        """config.json of a run or stage, written once. folder: `dir` or `pretrain_dir`."""
        if not (folder / "config.json").exists():
            write_json(folder / "config.json", {"preset": self.preset, "config": flatten(self.config)})
