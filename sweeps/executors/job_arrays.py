"""Runs -> job arrays. A pre-training that several runs share is one task, and the arrays of those runs depend on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sweeps.plan import Run, chunks
from sweeps.state.submissions import Item

ArrayTask = tuple[Item, ...]


@dataclass(frozen=True)
class Array:
    """Tasks to submit as one array. after: number of the array that it follows; None: none.

    task: the one task of that array that all of this one follow; None: each follows the task of its own number.
    """

    tasks: tuple[ArrayTask, ...]
    after: int | None = None
    task: int | None = None


def arrays(runs: Sequence[Run], made: Mapping[str, bool], pack: int, longest: int) -> Iterator[Array]:
    """Runs -> arrays of at most `longest` tasks of `pack` items, as a generator.

    made: pre-training stage -> whether its weights exist. An unfinished stage with one run is trained by the job of
    that run. One with several runs is an item of an array of stages, on which the arrays of its runs depend.
    """
    users: dict[str, list[Run]] = {}
    plain: list[Run] = []
    for run in runs:
        if run.stage is None or made[run.stage]:
            plain.append(run)
        else:
            users.setdefault(run.stage, []).append(run)
    plain += [waiting[0] for waiting in users.values() if len(waiting) == 1]
    shared = sorted(
        (stage for stage, waiting in users.items() if len(waiting) > 1), key=lambda stage: -len(users[stage])
    )
    number = 0  # of arrays so far
    for part in chunks(shared, pack * longest):
        stages = tuple(
            tuple(Item("pretrain", stage, users[stage][0].config) for stage in task) for task in chunks(part, pack)
        )
        followers = [[run for item in task for run in users[item.id]] for task in stages]
        for array in itertools.chain([Array(stages)], _following(number, followers, pack, longest)):
            number += 1
            yield array
    for rest in chunks(plain, pack * longest):
        yield Array(tuple(map(_task, chunks(rest, pack))))


def _following(first: int, followers: Sequence[Sequence[Run]], pack: int, longest: int) -> Iterator[Array]:
    """The arrays that depend on array `first`: followers[i] wait for its task i. As few arrays as possible.

    Few stages with many runs: arrays for each stage, all of whose tasks wait for one task. Many stages with few runs:
    the n-th runs of all stages are an array, where task i waits for task i; the stages come by falling number of runs,
    so the tasks of each such array are the first so many.
    """
    rows = [list(chunks(runs, pack)) for runs in followers]
    if len(rows) <= max(map(len, rows)):
        for number, row in enumerate(rows):
            for tasks in chunks(row, longest):
                yield Array(tuple(map(_task, tasks)), after=first, task=number)
        return
    for depth in range(max(map(len, rows))):
        yield Array(tuple(_task(row[depth]) for row in rows if depth < len(row)), after=first)


def _task(runs: Sequence[Run]) -> ArrayTask:
    return tuple(Item("run", run.id, run.config) for run in runs)
