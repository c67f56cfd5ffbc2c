"""Weights as safetensors, and training state that a resume continues from exactly."""

from __future__ import annotations

import io
import logging
import zipfile
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from simvtp.errors import DataError
from simvtp.models.torch_files import load_torch
from simvtp.runtime.files import write_bytes

log = logging.getLogger(__name__)

KEPT = 2  # the newest, and one more in case a disk damages it


def save_weights(model: nn.Module, path: Path) -> None:
    """All parameters and persistent buffers, written whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(path, safetensors.torch.save(tensors))


def load_weights(model: nn.Module, path: Path) -> None:
    """Load what `save_weights` wrote; raises DataError, naming the file and tensors, if the two do not fit."""
    try:
        tensors = safetensors.torch.load(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise DataError(f"{path} is damaged ({error}); delete it, and the stage is trained again") from error
    except (ValueError, LookupError, TypeError) as error:  # a type of numbers that torch has not
        raise DataError(f"{path} holds no tensors that torch knows ({error})") from error
    own = model.state_dict()
    wrong = [name for name, tensor in own.items() if name not in tensors or tensors[name].shape != tensor.shape]
    wrong += [name for name in tensors if name not in own]
    if wrong:
        raise DataError(f"{path} does not fit the config: {', '.join(wrong[:4])} ({len(wrong)} tensors in all)")
    model.load_state_dict(tensors)


def save_state(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write the training state after `step` steps, and drop all but the newest few."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_bytes(folder / f"step-{step:09d}.pt", buffer.getvalue())
    for old in states(folder)[:-KEPT]:
        old.unlink(missing_ok=True)


def states(folder: Path) -> list[Path]:
    """Checkpoints of a stage, oldest first."""
    return sorted(folder.glob("step-*.pt"))


def clear_halves(folder: Path) -> None:
    """Delete what kills in the middle of writing left in a stage's folder: `.step-000000040.pt.x3k` and the like.

    The caller holds the stage's lock, so no live process is writing there.
    """
    for half in (*folder.glob("checkpoints/.step-*.pt.*"), *folder.glob(".*.safetensors.*")):
        half.unlink(missing_ok=True)


def load_state(folder: Path) -> dict[str, Any] | None:
    """The newest readable state, or None. One that is damaged is logged and moved aside."""
    for path in reversed(states(folder)):
        content = io.BytesIO(path.read_bytes())  # an error of the disk is raised, not taken for damage
        try:
            with zipfile.ZipFile(content) as archive:  # torch.load looks at no checksum
                if (part := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"wrong checksum of {part}")
            content.seek(0)
            state = load_torch(content, len(content.getbuffer()))
            if not isinstance(state, dict):
                raise ValueError("it holds no training state")
            return state
        except Exception as error:  # noqa: BLE001  (damaged bytes raise anything)
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            log.warning("%s cannot be read (%s); going back to the one before", path, why)
            path.replace(path.with_suffix(".damaged"))
    return None


def clear_states(folder: Path) -> None:
    """Delete the checkpoints of a finished stage."""
    for path in states(folder):
        path.unlink(missing_ok=True)
