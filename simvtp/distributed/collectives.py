"""Features that travel between processes in the middle of a step, and their gradients back.

The one convention: each process computes a loss whose mean over the processes is the loss of the whole batch, and
gradients are averaged over the processes, as DistributedDataParallel and FSDP do. Then N processes have the gradient
of one process with the whole batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

from simvtp.distributed.process_group import rank, size


def gather_rows(rows: Tensor) -> Tensor:
    """Rows of all processes, [n, ...] -> [processes * n, ...].

    For losses that every process computes in full, from the same rows: each then has the same gradient there.
    """
    gathered: Tensor = rows if size() == 1 else _Gather.apply(rows)
    return gathered


def take(rows: Tensor, indices: Tensor) -> Tensor:
    """`rows of all processes[indices]` for this process: [n, ...] and int64 [processes * n] -> [n, ...].

    Process p gets the indices p * n to (p + 1) * n; only rows that are asked for travel, and their gradients return.
    """
    if size() == 1:
        return rows[indices.to(rows.device, non_blocking=True)]
    own = len(rows)
    owners = (indices // own).view(size(), own).tolist()  # owners[p][k]: who has the k-th row that p asks for
    wanted = (indices % own).view(size(), own).tolist()
    give = [wanted[asker][k] for asker in range(size()) for k in range(own) if owners[asker][k] == rank()]
    counts = [owners[asker].count(rank()) for asker in range(size())]
    come = [owners[rank()].count(owner) for owner in range(size())]
    # rows arrive by owner; the k-th that was asked for stands at the place that a stable sort by owner gives it
    place = torch.tensor(owners[rank()]).argsort(stable=True).argsort()
    arrived: Tensor = _Exchange.apply(rows[torch.tensor(give, device=rows.device, dtype=torch.int64)], counts, come)
    return arrived[place.to(rows.device)]


class _Gather(Function):
    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        context.own = slice(rank() * len(rows), (rank() + 1) * len(rows))
        found = [torch.empty_like(rows, memory_format=torch.contiguous_format) for _ in range(size())]
        dist.all_gather(found, rows.contiguous())
        return torch.cat(found)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        # every process has the same loss, hence the same gradient: their sum needs no communication
        return gradients[0][context.own] * size()


class _Exchange(Function):
    @staticmethod
    def forward(context: Any, rows: Tensor, give: list[int], come: list[int]) -> Tensor:
        context.counts = give, come
        return _exchange(rows, give, come)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        give, come = context.counts
        return _exchange(gradients[0], come, give), None, None


def _exchange(rows: Tensor, give: list[int], come: list[int]) -> Tensor:
    """Give the first give[0] rows to process 0, the next give[1] to process 1, ...; come: how many each one sends."""
    arrived = rows.new_empty(sum(come), *rows.shape[1:])
    dist.all_to_all_single(arrived, rows.contiguous(), come, give)
    return arrived
