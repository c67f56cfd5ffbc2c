"""Functions run in several processes that train together, as torchrun would start them."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from simvtp.config.machine import Machine
from simvtp.config.presets import preset
from simvtp.distributed.process_group import joined, rank

MACHINE: Machine = preset("tiny").machine
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["torch", "simvtp.evaluate", "simvtp.finetune", "simvtp.pretrain", "simvtp.run"])


def together(count: int, folder: Path, function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """function(*arguments) in `count` processes; what each gave, by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    environments = [{**os.environ, **shared, "RANK": str(k), "LOCAL_RANK": str(k)} for k in range(count)]
    processes = [
        CONTEXT.Process(target=_child, args=(environment, folder, function, arguments)) for environment in environments
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        if process.is_alive():
            process.kill()
    codes = [process.exitcode for process in processes]
    assert codes == [0] * count
    return [torch.load(folder / f"answer-{k}.pt", weights_only=False) for k in range(count)]


def _child(environment: dict[str, str], folder: Path, function: Callable[..., Any], arguments: Any) -> None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    with joined(MACHINE):
        number = rank()
        torch.save(function(*arguments), folder / f"answer-{number}.pt")
