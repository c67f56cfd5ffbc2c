"""Part (c): clips a second from files to the device, compared with those that the `base` step consumes."""

from __future__ import annotations

import importlib.util
import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.data.clips import clips
from benchmarks.gpu_parts.checks import Check, Row, Scale
from benchmarks.gpu_parts.workload import config_for, seconds_of, wait
from simvtp.config.schema import Config, override
from simvtp.data.from_config import build_train_loader, pretraining_corpus, tokenizer_of
from simvtp.data.train_loader import TrainLoader
from simvtp.data.video.sampling import spread_indices
from simvtp.distributed.device_copy import copy_to_device
from simvtp.models.objectives import Pretraining
from simvtp.models.simvtp import SimVTPModel
from simvtp.pretrain import masked
from simvtp.training.optimizer import make_optimizer

READERS = {"pyav": "av", "decord": "decord", "torchcodec": "torchcodec"}


def corpus(scale: Scale) -> Path:
    """The list of links to one file of 320x240, ten seconds."""
    folder = Path(scale.out) / "clips"
    if not (folder / "clips.csv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        clips(folder, scale.clips)
    return folder / "clips.csv"


def config_of(scale: Scale, workers: int, reader: str = "auto", batch: int | None = None) -> Config:
    batch = max(2, min(batch or scale.step_batch, scale.clips // 2))
    return override(
        config_for(scale, "base", batch),
        {"data.pretrain": f"csv:{corpus(scale)}", "data.tokenizer": "corpus", "data.reader": reader,
         "machine.workers": workers},
    )  # fmt: skip


def loader_of(config: Config) -> TrainLoader:
    return build_train_loader(config, "pretrain", pretraining_corpus(config), tokenizer_of(config))


def installed() -> list[str]:
    return [reader for reader, module in READERS.items() if importlib.util.find_spec(module) is not None]


def ahead(workers: int) -> int:
    """Batches that are made before they are asked for: two a worker, and one by the thread that takes them. A rate is
    that of making batches only when these are used up."""
    return 2 * workers + 1


def decoding(scale: Scale) -> Iterator[Row]:
    """Clips a second of the training loader, and nothing else running."""
    for reader in installed():
        for workers in scale.workers:
            config = config_of(scale, workers, reader, batch=min(16, scale.step_batch // 2))
            batches = loader_of(config).batches(0)
            for _ in range(1 + ahead(workers)):
                next(batches)
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < 3 * scale.seconds:
                count += len(next(batches).ids)
            rate = count / (time.perf_counter() - began)
            yield {"reader": reader, "workers": str(workers), "clips/s": f"{rate:.1f}"}
            del batches


def nvdec(scale: Scale) -> list[Row]:
    """Clips a second that torchcodec decodes on the GPU's own decoder, where it is installed and can."""
    if scale.device != "cuda" or "torchcodec" not in installed():
        return [{"reader": "torchcodec on the GPU", "clips/s": "not installed" if scale.device == "cuda" else "no GPU"}]
    from torchcodec.decoders import VideoDecoder

    path, shape = corpus(scale).parent / "video.mp4", config_of(scale, 0).model
    chosen = spread_indices(300, shape.frames, 0.5)

    def read() -> None:
        VideoDecoder(str(path), device="cuda").get_frames_at(list(chosen))

    return [{"reader": "torchcodec on the GPU", "clips/s": f"{1 / seconds_of(read, 'cuda', scale.seconds):.1f}"}]


def copies(scale: Scale) -> list[Row]:
    """Bytes of one batch to the device, from ordinary and from pinned memory."""
    config, rows = config_of(scale, 0), []
    side = config.model.size
    video = torch.zeros(config.pretrain.batch, config.model.frames, side, side, 3, dtype=torch.uint8)
    sources = {"ordinary": video} | ({"pinned": video.pin_memory()} if scale.device == "cuda" else {})
    for name, source in sources.items():
        seconds = seconds_of(lambda: source.to(scale.device, non_blocking=True), scale.device, scale.seconds)  # noqa: B023
        rows.append({
            "memory": name, "MB": f"{video.numel() / 1e6:.1f}", "ms": f"{1000 * seconds:.3f}",
            "GB/s": f"{video.numel() / seconds / 1e9:.1f}",
        })  # fmt: skip
    seconds = seconds_of(lambda: copy_to_device(video, torch.device(scale.device)), scale.device, scale.seconds)
    rows.append({
        "memory": "ordinary, through pinned, as in training", "MB": f"{video.numel() / 1e6:.1f}",
        "ms": f"{1000 * seconds:.3f}", "GB/s": f"{video.numel() / seconds / 1e9:.1f}",
    })  # fmt: skip
    return rows


def arrivals(scale: Scale) -> list[Row]:
    """Batches that are copied while the device computes arrive whole, and are not overwritten by those after them."""
    device, count = torch.device(scale.device), 50
    busy = torch.randn(scale.sides[0], scale.sides[0], device=device)
    batches = [torch.full((4, scale.sides[0], scale.sides[0]), number, dtype=torch.uint8) for number in range(count)]
    sums = []
    for batch in batches:
        copied = copy_to_device(batch, device)
        busy = torch.tanh(busy @ busy)
        sums.append(copied.sum(dtype=torch.int64))
    wrong = sum(int(total) != int(batch.sum(dtype=torch.int64)) for total, batch in zip(sums, batches, strict=True))
    return [{"batches": str(count), "wrong": str(wrong), "ok": "no" if wrong else "yes"}]


def fed(scale: Scale) -> Iterator[Row]:
    """bf16 steps on batches of the real loader: the share of the time in which the step has no batch."""
    for workers in scale.workers:
        config, device = config_of(scale, workers), torch.device(scale.device)
        tokenizer = tokenizer_of(config)
        model = SimVTPModel(config, tokenizer.size).to(device).train()
        objective, optimizer = Pretraining(model, config), make_optimizer(model, config.pretrain)
        batches = loader_of(config).batches(0)
        waits: list[float] = []
        for number in itertools.count():
            if number == 3 + ahead(workers):
                wait(device)
                began, waits = time.perf_counter(), []
            elif number > 5 + ahead(workers) and time.perf_counter() - began > 3 * scale.seconds:
                break
            before = time.perf_counter()
            batch = next(batches)
            waits.append(time.perf_counter() - before)
            inputs = masked(batch, config, tokenizer, number, device)
            with torch.autocast(device.type, torch.bfloat16):
                loss = torch.stack(list(objective(inputs).values())).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            wait(device)  # else the wait for the device hides in the wait for the next batch
        total = time.perf_counter() - began
        yield {
            "workers": str(workers), "batch": str(config.pretrain.batch),
            "ms a step": f"{1000 * total / len(waits):.1f}",
            "clips/s": f"{config.pretrain.batch * len(waits) / total:.1f}",
            "waiting": f"{100 * sum(waits) / total:.1f}%",
        }  # fmt: skip
        del batches


CHECKS: Sequence[Check] = (
    Check("clips a second from files", 45, decoding),
    Check("clips to the device", 20, copies),
    Check("batches arrive whole", 20, arrivals),
    Check("steps fed by the loader", 45, fed),
    Check("decoding on the GPU", 20, nvdec),
)
