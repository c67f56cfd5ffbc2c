"""One run, as every stage is handed it: its config, its ids and its folders."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from simvtp.config.run_dirs import RUNS, STAGES, home
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import Config, flatten
from simvtp.runtime.files import write_json


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
        return home(self.results, RUNS, self.id)

    @cached_property
    def pretrain_id(self) -> str | None:
        """Id of the pre-training stage, which runs may share; None where the config has none."""
        return pretrain_id(self.config)

    @cached_property
    def pretrain_dir(self) -> Path | None:
        """Folder of the pre-training stage, there or not yet; None where the config has none."""
        return None if self.pretrain_id is None else home(self.results, STAGES, self.pretrain_id)

    def write_config(self, folder: Path) -> None:
        """config.json of a run or stage, written once. folder: `dir` or `pretrain_dir`."""
        if not (folder / "config.json").exists():
            write_json(folder / "config.json", {"preset": self.preset, "config": flatten(self.config)})
