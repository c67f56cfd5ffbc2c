"""The process group of a training: rank, size, and operations of all processes.

It is started by `torchrun`, as the tasks of a Submitit job, or by `srun`. With one process every function here is the
identity. Process 0 leads: it alone writes and logs, and what it reads from disk holds for all (`decide`), so that the
processes never take different branches.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from simvtp.config.machine import Machine
from simvtp.errors import ConfigError
from simvtp.runtime.locks import Busy, Lock
from simvtp.runtime.log import only_warnings

log = logging.getLogger(__name__)

T = TypeVar("T")

CPU = torch.device("cpu")  # for what processes agree on, so that no GPU is waited for


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def leads() -> bool:
    """Whether this is process 0."""
    return rank() == 0


@contextmanager
def joined(machine: Machine) -> Iterator[None]:
    """Within the block, the processes that were started together are one group; does nothing for a single one.

    machine: its device decides between NCCL and Gloo. Raises ConfigError if the launcher's variables are wrong.
    Lines of log below a warning are those of process 0. After an error the group is not destroyed: the process ends,
    its launcher ends the others, and waiting for them would only hide the error.
    """
    launch = {} if dist.is_initialized() else started_as(os.environ)
    if int(launch.get("WORLD_SIZE", 1)) == 1:
        yield
        return
    os.environ.update(launch)
    cuda = machine.device != "cpu" and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(launch["LOCAL_RANK"]) % torch.cuda.device_count())
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    with only_warnings(active=not leads()):
        yield
    dist.destroy_process_group()


def started_as(environment: Mapping[str, str]) -> dict[str, str]:
    """RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT of this process; empty for a single one.

    environment: variables of the process. In this order: torchrun's own; a Submitit job with several tasks (SLURM or
    local); plain `srun`. Of SLURM only steps count: a batch script that requests several tasks and starts none is one
    process.
    Raises ConfigError if torchrun's variables are incomplete or no numbers.
    """
    if "RANK" in environment and "WORLD_SIZE" in environment:
        names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        missing = [name for name in names if name not in environment]
        if missing:
            raise ConfigError(f"RANK and WORLD_SIZE are set, but {missing[0]} is not: use torchrun, or unset them")
        found = {name: environment[name] for name in names} | {"LOCAL_RANK": environment.get("LOCAL_RANK", "0")}
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"):
            if not found[name].isdecimal():
                raise ConfigError(f"{name}={found[name]!r} in the environment is no number: use torchrun, or unset it")
        if int(found["RANK"]) >= int(found["WORLD_SIZE"]):
            raise ConfigError(
                f"RANK={found['RANK']} and WORLD_SIZE={found['WORLD_SIZE']} in the environment: ranks end below the "
                "size; use torchrun, or unset both"
            )
        return found
    if "SUBMITIT_EXECUTOR" in environment:
        from submitit import JobEnvironment

        job = JobEnvironment()
    elif environment.get("SLURM_STEP_NUM_TASKS", "1") not in ("", "0", "1"):
        from submitit.slurm.slurm import SlurmJobEnvironment

        job = SlurmJobEnvironment()
    else:
        return {}
    if job.num_tasks == 1:
        return {}
    step = f"{job.job_id}.{environment.get('SLURM_STEP_ID', '')}"
    port = random.Random(step).randint(20000, 60000)  # the same in every task, another one for every step
    return {
        "RANK": str(job.global_rank),
        "WORLD_SIZE": str(job.num_tasks),
        "LOCAL_RANK": str(job.local_rank),
        "MASTER_ADDR": job.hostnames[0],
        "MASTER_PORT": environment.get("MASTER_PORT", str(port)),
    }


def decide(choose: Callable[[], T]) -> T:
    """Call `choose` in process 0 only and return its result in all processes; its error is raised in all."""
    if size() == 1:
        return choose()
    answer: list[Any] = [None, None]
    if leads():
        try:
            answer[0] = choose()
        except Exception as error:  # noqa: BLE001  (raised below, here and in all the others)
            answer[1] = error
    dist.broadcast_object_list(answer, src=0, device=CPU)
    if answer[1] is not None:
        raise answer[1]
    result: T = answer[0]
    return result


@contextmanager
def owned(lock: Path) -> Iterator[None]:
    """Hold the lock file `lock`, taken by process 0; raises locks.Busy in all where another live process holds it.

    All leave the block together, so what process 0 wrote within is there for all.
    """
    with ExitStack() as held:

        def take() -> None:
            try:
                held.enter_context(Lock(lock))
            except Busy as error:
                raise Busy(f"{error}; of a sweep, `python sweeps/run.py SWEEP --status` shows how far it is") from error

        decide(take)
        yield
    decide(lambda: None)


def largest(*numbers: int) -> list[int]:
    """The largest of each number over the processes."""
    if size() == 1:
        return list(numbers)
    found = torch.tensor(numbers)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return [int(number) for number in found]


def mean(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalar tensors, [], by name -> their means over the processes."""
    if size() == 1:
        return {name: float(value.detach()) for name, value in values.items()}
    found = torch.stack([value.detach().double().cpu() for value in values.values()])
    dist.all_reduce(found)
    return dict(zip(values, (found / size()).tolist(), strict=True))


def share(count: int) -> range:
    """This process's share of `count` things, in order, none twice; shares differ by one at most."""
    return range(rank() * count // size(), (rank() + 1) * count // size())


def lists(own: list[str]) -> list[str]:
    """The lists of all processes, concatenated by rank."""
    if size() == 1:
        return own
    found: list[Any] = [None] * size()
    dist.all_gather_object(found, own)
    return [entry for part in found for entry in part]


def rows_of(batch: int, parts: int, process: int) -> list[int]:
    """Indices of the rows of a batch that a process computes: its even share of each of the accumulated `parts`."""
    part = batch // parts
    share = part // size()
    return [p * part + process * share + row for p in range(parts) for row in range(share)]


def check_batch(stage: str, batch: int, parts: int) -> None:
    """Raise ConfigError if `batch` rows, accumulated in `parts`, cannot be divided evenly among the processes."""
    if batch % (parts * size()):
        raise ConfigError(
            f"{stage}.batch: {batch} rows in {stage}.accumulate {parts} parts cannot be shared by {size()} processes; "
            f"make it a multiple of {parts * size()}"
        )


def whole_batch(own: Tensor, parts: int, length: int, fill: int) -> tuple[Tensor, Tensor]:
    """Captions of this process, int64 [B / processes, L] -> the same and those of the whole batch, both padded with
    `fill` to one length: int64 [B / processes, length], [B, length]. parts: into which the batch is accumulated."""
    if size() == 1:
        return own, own
    padded = own.new_full((len(own), length), fill)
    padded[:, : own.shape[1]] = own
    found = [torch.empty_like(padded) for _ in range(size())]
    dist.all_gather(found, padded)
    whole = own.new_empty(len(own) * size(), length)
    for process, part in enumerate(found):
        whole[rows_of(len(whole), parts, process)] = part
    return padded, whole


def filled(rows: Tensor) -> Tensor:
    """[N, ...] on the CPU, of which each process has filled some rows and left zeros elsewhere -> all rows, in all."""
    if size() > 1:
        dist.all_reduce(rows)
    return rows


def log_lines(lines: Iterable[str]) -> None:
    """Log lines; processes other than 0 show none (`joined`)."""
    for line in lines:
        log.info(line)
