"""Differentiable collectives: they exchange rows between processes, and their gradients in the backward pass.

Convention: each process computes a loss whose mean over the processes is the loss of the whole batch, and
gradients are averaged over the processes, as DistributedDataParallel and FSDP do. Then N processes have the gradient
of one process with the whole batch.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import _functional_collectives as collectives

from simvtp.distributed.device_copy import copy_to_device
from simvtp.distributed.process_group import rank, size


def all_gather_with_grad(rows: Tensor) -> Tensor:
    """Rows of all processes, in the order of their ranks: [n, ...] -> [processes * n, ...].

    Gradients of all processes are summed into the rows, as PyTorch's own differentiable all-gather does.
    """
    if size() == 1:
        return rows
    # torch before 2.13 knows this function by its older name
    gather = getattr(collectives, "all_gather_single_autograd", None) or collectives.all_gather_tensor_autograd
    gathered: Tensor = gather(rows.contiguous(), 0, _all_processes())
    return gathered


def all_to_all(rows: Tensor, indices: Tensor) -> Tensor:
    """`rows of all processes[indices]` for this process: [n, ...] and int64 [processes * n] -> [n, ...].

    Process p gets the rows at indices p * n to (p + 1) * n; only these rows, and their gradients, are sent.
    """
    if size() == 1:
        return rows[copy_to_device(indices, rows.device)]
    own = len(rows)
    owners = (indices // own).view(size(), own).tolist()  # owners[p][k]: who has the k-th row that p wants
    wanted = (indices % own).view(size(), own).tolist()
    sent = [wanted[asker][k] for asker in range(size()) for k in range(own) if owners[asker][k] == rank()]
    send_counts = [owners[asker].count(rank()) for asker in range(size())]
    recv_counts = [owners[rank()].count(owner) for owner in range(size())]
    # rows arrive by owner; a stable sort by owner gives where the k-th wanted row has arrived
    position = torch.tensor(owners[rank()]).argsort(stable=True).argsort()
    sent_rows = rows[torch.tensor(sent, device=rows.device, dtype=torch.int64)]
    arrived: Tensor = collectives.all_to_all_single_autograd(sent_rows, recv_counts, send_counts, _all_processes())
    return arrived[position.to(rows.device)]


def _all_processes() -> dist.ProcessGroup:
    group = dist.group.WORLD
    assert group is not None  # there are several processes
    return group
