"""How runs become job arrays: stages before their runs, no item twice, arrays of bounded length."""

import itertools
from collections.abc import Iterable

import pytest

from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import override
from sweeps.executors.job_arrays import Array, arrays
from sweeps.plan import Run
from sweeps.state.submissions import Item


def run(stage: int, number: int = 0) -> Run:
    config = override(preset("tiny"), {"seed": stage, "finetune.lr": 0.001 * (number + 1)})
    return Run(run_id(config), pretrain_id(config), config, f"{stage}/{number}", stage)


def names(arrays_: Iterable[Array]) -> list[tuple[list[list[str]], int | None, int | None]]:
    """Arrays with items named by seed (and rate of fine-tuning for runs)."""

    def name(item: Item) -> str:
        number = round(item.config.finetune.lr / 0.001) - 1
        return f"stage {item.config.seed}" if item.kind == "pretrain" else f"{item.config.seed}/{number}"

    return [([[name(item) for item in task] for task in a.tasks], a.after, a.task) for a in arrays_]


def unmade(runs: list[Run]) -> dict[str, bool]:
    return {r.stage: False for r in runs if r.stage is not None}


def test_a_stage_of_one_run_is_made_by_its_job() -> None:
    runs = [run(0), run(1)]
    assert names(arrays(runs, unmade(runs), 1, 10)) == [([["0/0"], ["1/0"]], None, None)]


def test_many_stages_are_followed_task_by_task() -> None:
    runs = [run(0, 0), run(1, 0), run(1, 1), run(2, 0), run(2, 1), run(0, 1), run(3, 0), run(3, 1), run(2, 2), run(4)]
    assert names(arrays(runs, unmade(runs), 1, 10)) == [
        ([["stage 2"], ["stage 0"], ["stage 1"], ["stage 3"]], None, None),
        ([["2/0"], ["0/0"], ["1/0"], ["3/0"]], 0, None),
        ([["2/1"], ["0/1"], ["1/1"], ["3/1"]], 0, None),
        ([["2/2"]], 0, None),
        ([["4/0"]], None, None),
    ]


def test_one_stage_of_many_runs_is_followed_as_one() -> None:
    runs = [run(0, number) for number in range(5)]
    assert names(arrays(runs, unmade(runs), 1, 3)) == [
        ([["stage 0"]], None, None),
        ([["0/0"], ["0/1"], ["0/2"]], 0, 0),
        ([["0/3"], ["0/4"]], 0, 0),
    ]
    assert names(arrays(runs, unmade(runs), 2, 3)) == [
        ([["stage 0"]], None, None),
        ([["0/0", "0/1"], ["0/2", "0/3"], ["0/4"]], 0, 0),
    ]


def test_what_is_made_is_not_waited_for_and_long_arrays_are_cut() -> None:
    runs = [run(0, number) for number in range(5)]
    assert names(arrays(runs, dict.fromkeys(unmade(runs), True), 2, 2)) == [
        ([["0/0", "0/1"], ["0/2", "0/3"]], None, None),
        ([["0/4"]], None, None),
    ]


@pytest.mark.parametrize(("pack", "longest"), list(itertools.product((1, 2, 3), (1, 2, 7))))
def test_every_run_once_after_its_own_stage(pack: int, longest: int) -> None:
    runs = [run(stage, number) for stage, count in enumerate((1, 4, 2, 2, 3, 1, 9)) for number in range(count)]
    planned = list(arrays(runs, unmade(runs), pack, longest))
    items = [item.id for array in planned for task in array.tasks for item in task if item.kind == "run"]
    assert sorted(items) == sorted(r.id for r in runs)
    assert all(len(array.tasks) <= longest and all(len(task) <= pack for task in array.tasks) for array in planned)
    for array in planned:
        for number, task in enumerate(array.tasks):
            if array.after is not None:
                followed = planned[array.after].tasks[number if array.task is None else array.task]
                assert {pretrain_id(item.config) for item in task} <= {item.id for item in followed}
