"""The training loop of both stages: optimiser, schedule, precision, log, checkpoints, exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from simvtp.config.machine import Machine
from simvtp.config.optimisation import Optimisation
from simvtp.data.train_loader import Batch
from simvtp.distributed.process_group import check_batch, decide, largest, mean, rank
from simvtp.errors import DataError, NotFinite
from simvtp.runtime.heartbeat import beat
from simvtp.runtime.seeding import seeded
from simvtp.runtime.signals import Interrupted, raise_if_stopped, stop_requested
from simvtp.training.checkpoint import clear_halves, load_state, save_state, states
from simvtp.training.optimizer import learning_rate, make_optimizer
from simvtp.training.parallelize import WrappedModel, load_optimizer
from simvtp.training.progress import Log, Progress

Losses = dict[str, Tensor]


class Loader(Protocol):
    """The loader that `Trainer.fit` takes: batches are a function of the step, so that a resume sees the same ones."""

    @property
    def steps_per_epoch(self) -> int: ...

    def batches(self, first_step: int) -> Iterator[Batch]:
        """This process's batches from step `first_step` on, without end."""


def stop_if_requested() -> None:
    """Raise Interrupted if any process got a signal; to be called between stages, where nothing is to be saved."""
    (stop_requested.number,) = largest(stop_requested.number)
    raise_if_stopped("stopped between two stages")


def split(batch: Batch, parts: int) -> list[Batch]:
    """Cut a batch of B samples into `parts` batches of B / parts; losses, the contrastive one too, are of one part."""

    def cut(rows: Any, i: int) -> Any:
        size = len(rows) // parts
        return rows[i * size : (i + 1) * size]

    return [
        replace(batch, **{name: cut(getattr(batch, name), i) for name in ("video", "words", "all_words", "ids")})
        for i in range(parts)
    ]


@dataclass
class Trainer:
    """Trains a model for a number of steps, from the last checkpoint in its folder if there is one.

    name: of the stage, "pretrain" or "finetune"; part of seeds, log lines and checkpoints.
    model: whose weights are trained, on `device`; has `no_weight_decay()`, the names of parameters without decay.
    objective: a module around the model whose forward takes what `prepare` of `fit` gives and returns the unweighted
        losses, scalar tensors by name.
    optimisation: batch (of all processes), accumulate, lr, betas, weight and layer decay, precision, ema of the stage.
    steps, warmup: updates in all, and of these with a rising learning rate.
    weights: the weight of each loss by name; the trained loss is their weighted sum.
    seed: of the run; dropout of step k depends on (seed, name, k, rank) only.
    folder: of the stage: log.jsonl and checkpoints/ are written in it, by process 0.
    machine: checkpointing, compile, shard and checkpoint_seconds are read.
    device: where the model and the batches are.
    memory: what a stage keeps in checkpoints beside the training state (the best epoch and its weights, say); plain
        values and tensors.

    Raises ConfigError if the batch cannot be divided among the processes, DataError where the last checkpoint is
    whole and does not fit.
    """

    name: str
    model: nn.Module
    objective: nn.Module
    optimisation: Optimisation
    steps: int
    warmup: int
    weights: dict[str, float]
    seed: int
    folder: Path
    machine: Machine
    device: torch.device
    memory: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_batch(self.name, self.optimisation.batch, self.optimisation.accumulate)
        self.log = Log(self.folder / "log.jsonl", self.name)
        self.tail: list[dict[str, float]] = []
        self.step = 0
        self.seconds = 0.0
        state = self._last_state()
        try:
            self._restore(state)
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            if state is None or isinstance(error, torch.OutOfMemoryError):
                raise
            path, why = states(self.folder / "checkpoints")[-1], str(error).strip().splitlines()
            raise DataError(
                f"{path} does not fit this stage ({' '.join(why[:2]) or type(error).__name__}); move it away, and the "
                "same command goes on from the checkpoint before it, or from the start"
            ) from error
        decide(lambda: self.log.cut_after(self.step))
        self.log.open_trackers()
        self._counted = time.monotonic()

    def _restore(self, state: dict[str, Any] | None) -> None:
        """Wrap the model and make the optimiser, both as `state` has them; any exception where it does not fit."""
        self.wrapped = WrappedModel(
            self.model, self.objective, self.machine, self.device, self.optimisation.ema, state,
            pure_bf16=self.optimisation.precision == "bf16-pure",
        )  # fmt: skip
        self.optimizer = make_optimizer(self.model, self.optimisation)
        if state is None:
            return
        if state.get("stage") != self.name:
            raise ValueError(f"it is of stage {state.get('stage')!r}, not {self.name}")
        load_optimizer(self.optimizer, state["optimizer"])
        self.step, self.tail, self.memory = state["step"], state["tail"], state["memory"]
        self.seconds = float(state["seconds"])
        if type(self.step) is not int or not 0 <= self.step <= self.steps:
            raise ValueError(f"it is of step {self.step!r}, and the stage has {self.steps} steps")
        if not isinstance(self.memory, dict) or not isinstance(self.tail, list):
            raise TypeError("memory or tail is of another type")
        for line in self.tail:
            if line.keys() != self.tail[0].keys() or not all(isinstance(value, float) for value in line.values()):
                raise ValueError("its losses are no numbers")

    def _last_state(self) -> dict[str, Any] | None:
        folder = self.folder / "checkpoints"
        decide(lambda: clear_halves(self.folder))
        exists = decide(lambda: load_state(folder) is not None)  # process 0 sets damaged ones aside
        return load_state(folder) if exists else None

    def save(self) -> None:
        """Write a checkpoint of this step; every process must call this. Raises OSError if the disk is full."""
        now = time.monotonic()
        self.seconds, self._counted = self.seconds + now - self._counted, now
        state = {"stage": self.name, "step": self.step, "tail": self.tail, "memory": self.memory,
                 "seconds": self.seconds, **self.wrapped.state(self.optimizer)}  # fmt: skip
        decide(lambda: save_state(self.folder / "checkpoints", self.step, state))

    def fit(
        self,
        loader: Loader,
        prepare: Callable[[Batch, int], tuple[Any, ...]],
        after_step: Callable[[Trainer], None] | None = None,
    ) -> None:
        """Run the steps that are left.

        loader: gives this process's batches. prepare(batch, draw): a batch of B / processes / accumulate samples on
        the CPU -> the arguments of the objective's forward, on the device; `draw` numbers the parts of accumulated
        batches over all steps, so that every part has masks of its own. after_step(trainer): called after every step,
        before a checkpoint may be written.

        Ends with a checkpoint. Raises Interrupted after a signal to any process (the checkpoint is written), NotFinite
        where a loss is NaN or infinite.
        """
        self.wrapped.forward.train()
        with self.log, Progress(self.name, self.steps, self.step, self.optimisation.batch) as progress:
            batches = loader.batches(self.step)
            while self.step < self.steps:
                losses = self._step(next(batches), prepare)
                self.step += 1
                beat()
                self._note(losses, loader.steps_per_epoch, progress)
                if after_step is not None:
                    after_step(self)
                late = time.monotonic() - self._counted > self.machine.checkpoint_seconds
                stop_requested.number, save = largest(stop_requested.number, int(late))
                if stop_requested.number and self.step < self.steps:
                    self.save()
                    raise Interrupted(f"{self.name} stopped after step {self.step} of {self.steps}")
                if save:
                    self.save()
        self.save()

    def _step(self, batch: Batch, prepare: Callable[[Batch, int], tuple[Any, ...]]) -> Losses:
        rate = learning_rate(self.step, self.steps, self.warmup, self.optimisation)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        parts = self.optimisation.accumulate
        totals: Losses = {}
        others = (rank(),) if rank() else ()  # every process has rows of its own, so dropout of its own
        with seeded(self.seed, self.name, "dropout", self.step, *others):
            for number, part in enumerate(split(batch, parts)):
                inputs = prepare(part, self.step * parts + number)
                with self.wrapped.gradients(last=number == parts - 1):
                    for name, value in self._part(inputs, parts).items():
                        totals[name] = totals.get(name, 0) + value.detach() / parts
        self.wrapped.before_step()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.wrapped.after_step()
        return totals

    def _part(self, inputs: tuple[Any, ...], parts: int) -> Losses:
        """Forward and backward of one part; its losses and their weighted sum, "loss"."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.optimisation.precision == "bf16"):
            losses: Losses = self.wrapped.forward(*inputs)
        loss = torch.stack([self.weights[name] * value for name, value in losses.items()]).sum()
        (loss / parts).backward()
        return {"loss": loss, **losses}

    def _note(self, losses: Losses, steps_per_epoch: int, progress: Progress) -> None:
        """Log now and then: reading a loss waits for the device."""
        every = max(1, self.steps // 200)
        in_tail = self.step > self.steps - max(1, self.steps // 20)
        if not (in_tail or self.step % every == 0 or self.step == self.steps):
            progress.advance(self.step)
            return
        numbers = mean(losses)
        if not all(math.isfinite(value) for value in numbers.values()):
            raise NotFinite(
                f"{self.name}: a loss is not finite at step {self.step}: {numbers}; "
                f"try a lower {self.name}.lr, or fp32 in {self.name}.precision"
            )
        if in_tail:
            self.tail.append(numbers)
        progress.advance(self.step, numbers["loss"])
        if self.step % every == 0 or self.step == self.steps:
            rate = learning_rate(self.step - 1, self.steps, self.warmup, self.optimisation)
            self.log.write(
                step=self.step, steps=self.steps, epoch=round(self.step / steps_per_epoch, 3), lr=rate,
                samples_per_second=progress.rate(), seconds_left=progress.seconds_left(), **numbers,
            )  # fmt: skip

    def tail_means(self) -> dict[str, float]:
        """Losses by name, averaged over the last twentieth of the steps and over processes; "loss" is their sum."""
        names = self.tail[0] if self.tail else {}
        return {name: sum(line[name] for line in self.tail) / len(self.tail) for name in names}
