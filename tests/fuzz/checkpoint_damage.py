"""Damage of checkpoints, safetensors files and JSON: of bytes, and of what a file of that kind holds."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def damage(path: Path, rng: random.Random) -> None:
    ways = [truncated, flipped, overwritten, repeated]
    if path.suffix in (".pt", ".pth"):
        ways += [changed_content] * 8 + [deep_pickle] * 2
    if path.suffix == ".json":
        ways += [changed_json] * 6
    if path.suffix == ".safetensors":
        ways += [changed_header] * 4
    rng.choice(ways)(path, rng)


def truncated(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))])


def flipped(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 3, 30))):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def overwritten(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    start = rng.randrange(len(content))
    count = min(rng.choice((4, 100, 5000)), len(content) - start)
    content[start : start + count] = rng.randbytes(count) if rng.random() < 0.5 else bytes(count)
    path.write_bytes(bytes(content))


def repeated(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(rng.choice((content + content, content[::-1], b"", rng.randbytes(200), content + b"\0" * 99)))


def changed_header(path: Path, rng: random.Random) -> None:
    """Another header of a safetensors file."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    name = rng.choice(sorted(header))
    way = rng.randrange(6)
    if way == 0:
        del header[name]
    elif way == 1:
        header[name] = value(rng)
    elif way == 2 and isinstance(header[name], dict) and "shape" in header[name]:
        header[name]["shape"] = rng.choice(([], [0], [2**62, 4], [-1], ["a"], header[name]["shape"][::-1]))
    elif way == 3 and isinstance(header[name], dict):
        header[name]["dtype"] = rng.choice(("F16", "I64", "BOOL", "X", 3))
    elif way == 4 and isinstance(header[name], dict):
        header[name]["data_offsets"] = rng.choice(([0, 2**60], [5, 1], [0], None))
    else:
        header[rng.choice(("", "x", "../x", "a" * 5000))] = header.pop(name)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])


def value(rng: random.Random) -> Any:
    return rng.choice((None, -1, 0, 2**70, 1.5, float("nan"), "x", "", [], {}, [[1]], {"a": {}}, True, "\u2028\0"))


def changed_json(path: Path, rng: random.Random) -> None:
    content = json.loads(path.read_text())
    for _ in range(rng.choice((1, 1, 3))):
        inner = content
        while True:
            key = rng.choice(list(inner) if isinstance(inner, dict) else range(len(inner))) if inner else None
            if key is None or not isinstance(inner[key], dict | list) or not inner[key] or rng.random() < 0.3:
                break
            inner = inner[key]
        if key is not None:
            if rng.random() < 0.3 and isinstance(inner, dict):
                del inner[key]
            else:
                inner[key] = value(rng)
    path.write_text(json.dumps(content))


def changed_content(path: Path, rng: random.Random) -> None:
    """Another content of a torch file, written as torch does."""
    content = torch.load(path, map_location="cpu", weights_only=True)
    if rng.random() < 0.2:
        content = whole(content, rng)
    else:
        for _ in range(rng.choice((1, 1, 2))):
            inner = content
            while rng.random() < 0.7:
                deeper = [v for v in inner.values() if isinstance(v, dict) and v]
                if not deeper:
                    break
                inner = rng.choice(deeper)
            if inner:
                change(inner, rng.choice(list(inner)), rng)
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=rng.random() < 0.8)
    path.write_bytes(buffer.getvalue())


def change(inner: dict[Any, Any], key: Any, rng: random.Random) -> None:
    way = rng.randrange(9)
    if way == 0:
        del inner[key]
    elif way == 1:
        inner[key] = inner  # holds itself
    elif way == 2:
        inner[rng.choice(("model", "module", "state_dict", "x", 3, (1, 2)))] = inner
    elif way == 3:
        inner[key] = tensor(inner[key] if isinstance(inner[key], Tensor) else torch.ones(3), rng)
    elif way == 4:
        inner[key] = value(rng)
    elif way == 5:
        inner[rng.choice((None, 7, "step", "model.x", b"x"))] = inner.pop(key)
    else:
        tensors = [name for name, value in inner.items() if isinstance(value, Tensor)]
        if tensors:
            name = rng.choice(tensors)
            inner[name] = tensor(inner[name], rng)


def tensor(given: Tensor, rng: random.Random) -> Tensor:
    """Tensors of other kinds than a plain one in memory."""
    floats = given.float()
    return rng.choice((
        lambda: torch.ones(1).expand(2**40),
        lambda: torch.ones(1).expand(given.shape) if given.ndim else given,
        lambda: given.to("meta"),
        lambda: floats.reshape(-1, 1).to_sparse(),
        lambda: floats.reshape(1, -1).to_sparse_csr(),
        lambda: given[..., None],
        lambda: torch.full_like(floats, float("nan")),
        lambda: floats.half(),
        lambda: floats.double(),
        lambda: floats.to(torch.complex64),
        lambda: floats.bool(),
        lambda: torch.empty(0),
        lambda: torch.quantize_per_tensor(floats, 0.1, 0, torch.qint8),
        lambda: torch.empty(2**33, device="meta"),
        lambda: floats.t() if floats.ndim == 2 else floats,
    ))()  # fmt: skip


def deep_pickle(path: Path, rng: random.Random) -> None:
    """Containers in containers, deeper than recursion goes, below a key of the content or at the top."""
    levels = rng.choice((50, 5000, 500_000))
    opening, closing = rng.choice(((b"}X\x05\0\0\0model", b"s"), (b"]", b"a"), (b"", b"\x85"), (b"}K\1", b"s")))
    buffer = io.BytesIO()
    torch.save({}, buffer)
    with zipfile.ZipFile(buffer) as given, zipfile.ZipFile(path, "w") as made:
        for name in given.namelist():
            content = given.read(name)
            if name.endswith("data.pkl"):
                content = b"\x80\2" + opening * levels + b"N" + closing * levels + b"."
            made.writestr(name, content)


def whole(content: Any, rng: random.Random) -> Any:
    """Another object at the top."""
    loop: list[Any] = []
    loop.append(loop)
    return rng.choice((None, [], {}, [content], loop, (1, 2), "text", 3, torch.ones(3), {"model": {}},
                       {"model": {"model": {"model": content}}}, Path("x"), object))  # fmt: skip
