"""Results of a plan that were made by other code: found, named, reused or deleted (simvtp/config/code_version.py)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from simvtp.config.code_version import Stage, explain
from simvtp.config.experiment import Experiment, OtherCode, discard
from simvtp.errors import ConfigError
from simvtp.runtime.locks import Busy, Lock
from sweeps.plan import Plan


@dataclass(frozen=True)
class Difference:
    """A stage of other code. name: id of the run or pre-training stage; files: those that changed since."""

    name: str
    stage: Stage
    folder: Path
    files: tuple[str, ...]


def differences(plan: Plan, results: Path) -> list[Difference]:
    """All results, stages and checkpoints of the plan's runs that were made by other code; nothing is changed."""
    by_stage: dict[tuple[str, Stage], Difference] = {}
    for run in plan.runs.values():
        for difference in _of_run(Experiment(run.config, plan.preset, results)):
            by_stage.setdefault((difference.name, difference.stage), difference)
    return list(by_stage.values())


def _of_run(experiment: Experiment) -> Iterator[Difference]:
    stages: list[tuple[Stage, str | None, Path | None]] = [
        ("pretrain", experiment.pretrain_id, experiment.pretrain_dir),
        ("finetune", experiment.id, experiment.dir),
        ("evaluate", experiment.id, experiment.dir),
    ]
    for stage, name, folder in stages:
        if name is not None and folder is not None and (files := experiment.changed_files(stage)):
            yield Difference(name, stage, folder, tuple(files))


def note(changed: list[Difference], *, redo: bool = True) -> str:
    """A paragraph that names results of other code; "" if there is none. redo: whether --redo is possible."""
    if not changed:
        return ""
    names = list(dict.fromkeys(difference.name for difference in changed))
    shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    files = sorted({file for difference in changed for file in difference.files})
    what = "1 run or stage is" if len(names) == 1 else f"{len(names)} runs and stages are"
    return explain(f"{what} ({shown})", files, redo=redo)


def settle(plan: Plan, results: Path) -> None:
    """Before any run starts: delete results of other code with machine.other_code=redo, keep them with reuse.

    Raises OtherCode if there are any and the policy is refuse, locks.Busy if a run to delete is running.
    """
    changed, policy = differences(plan, results), plan.base.machine.other_code
    if changed and policy == "refuse":
        raise OtherCode(note(changed))
    if policy == "redo":
        for difference in changed:
            try:
                with Lock(difference.folder / "lock"):
                    discard(difference.folder, difference.stage)
            except Busy as error:
                raise Busy(f"{error}; --status shows how far it is") from error


def settle_search(plan: Plan, results: Path) -> None:
    """`settle` for a search. Its points depend on its earlier results, so redo raises ConfigError.

    plan: with the runs of its trials.
    """
    changed, policy = differences(plan, results), plan.base.machine.other_code
    if changed and policy == "refuse":
        raise OtherCode(note(changed, redo=False))
    if changed and policy == "redo":
        raise ConfigError(
            f"--redo: the points of a search were chosen by results that are there; {note(changed, redo=False)}"
        )
