"""Starting from published weights: read the files of model.init, map names and shapes to this model, copy the tensors.

Files are safetensors, or torch files that are read without running any code in them. A tensor is copied exactly or not
at all: only its shape and the order of its rows may change, never a value.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from simvtp.config.file_digests import pinned_weights, weight_files, weight_sources
from simvtp.config.schema import Config, Model
from simvtp.errors import ConfigError, DataError
from simvtp.models.embeddings import sine_positions
from simvtp.models.key_maps import KeyMap, find_key_map, own_key
from simvtp.models.torch_files import load_torch
from simvtp.runtime.files import read_json

WRAPPERS = ("model", "module", "state_dict", "model_state_dict")  # keys that checkpoints keep their weights under
SHOWN = 4
PUBLISHED = (8, 14, 14)  # VideoMAE's and SimVTP's: 16 frames of 224 x 224 in tubes of 2 x 16 x 16


@dataclass
class PretrainedWeights:
    """What the files of model.init hold.

    tensors: float32 on the CPU, by this model's names.
    origin: this model's name -> file, and the name there.
    kinds: the key map of each source and its path, for messages.
    unused: names in the files that this model has no tensor for.
    grid: slots, rows and columns of the tubes that the weights were trained on; None if unknown.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    origin: dict[str, tuple[Path, str]] = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    grid: tuple[int, int, int] | None = None

    @property
    def dual(self) -> bool:
        """Whether these are two fine-tuned encoders."""
        return any(name.startswith(("video_encoder.", "text_encoder.")) for name in self.tensors)


def read_pretrained(init: str, model: Model) -> PretrainedWeights:
    """All that model.init names, a later source before an earlier one where both hold a tensor.

    Raises ConfigError or DataError that names the file.
    """
    given, init = PretrainedWeights(), pinned_weights(init)
    for source in weight_sources(init):
        try:
            _read(source, model, given)
        except (ConfigError, DataError, OSError):
            raise
        except Exception as error:  # tensors may have any shape and type, and a config.json any content
            raise ConfigError(f"model.init: {source} cannot be used as weights ({_first_line(error)})") from error
    return given


def _read(source: Path, model: Model, given: PretrainedWeights) -> None:
    """Add the tensors of a source to `given`."""
    theirs: dict[str, Tensor] = {}
    for path in weight_files(source):
        theirs |= _tensors(path)
    key_map = find_key_map(theirs)
    if key_map is None:
        raise ConfigError(
            f"model.init: {source} is in no layout that is known (VideoMAE, SimVTP, BERT's embeddings, or this "
            f"project's); its tensors are called {', '.join(list(theirs)[:SHOWN]) or 'nothing: there are none'}"
        )
    _refuse_learned_positions(source, key_map, theirs)
    _refuse_without_norm(source, key_map, theirs)
    given.kinds.append(f"{key_map.name}: {source}")
    if key_map.videomae:
        given.grid = _grid(source, model)
    _translate(source, key_map, theirs, model, given)


def _grid(source: Path, model: Model) -> tuple[int, int, int] | None:
    """What the config.json of a transformers folder says; else that of every published model with such tubes.

    Raises ConfigError if that config.json has other attention heads, which no tensor's shape would show.
    """
    said = read_json(source / "config.json") if (source / "config.json").is_file() else {}
    for theirs, ours in (("num_attention_heads", "heads"), ("decoder_num_attention_heads", "decoder_heads")):
        if theirs in said and said[theirs] != getattr(model, ours):
            raise ConfigError(f"model.{ours}: {getattr(model, ours)}, but {source}/config.json has {said[theirs]}")
    if {"num_frames", "tubelet_size", "image_size", "patch_size"} <= said.keys():
        side = said["image_size"] // said["patch_size"]
        return said["num_frames"] // said["tubelet_size"], side, side
    return PUBLISHED if (model.tube_frames, model.patch) == (2, 16) else None


def _tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a file by its name, float32, on the CPU."""
    if path.suffix == ".safetensors":
        try:
            found: Any = safetensors.torch.load_file(path)
        except safetensors.SafetensorError as error:
            raise ConfigError(f"model.init: {path} is damaged or no safetensors file ({error})") from error
    else:
        found = _unwrapped(_loaded(path))
    tensors = {
        str(name).removeprefix("module."): tensor.float()
        for name, tensor in found.items()
        if isinstance(tensor, Tensor) and tensor.is_floating_point()
    }
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ConfigError(f"model.init: {path}: the tensor {name} holds NaN or infinity")
    return tensors


def _loaded(path: Path) -> Any:
    try:
        return load_torch(path, path.stat().st_size)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"model.init: {path} is refused: it is damaged, or holds more than tensors, and loading that could run any "
            "code. Where you trust its origin, load it yourself and save its tensors as safetensors"
        ) from error
    except Exception as error:  # a damaged pickle raises anything
        raise ConfigError(f"model.init: {path} cannot be read as a torch checkpoint ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _unwrapped(content: Any) -> dict[str, Any]:
    """The names and tensors of a checkpoint, which may lie under a key of their own."""
    while isinstance(content, dict):
        inner = [content[key] for key in WRAPPERS if isinstance(content.get(key), dict)]
        if not inner:
            return content
        content = inner[0]
    return {}


def _refuse_learned_positions(source: Path, key_map: KeyMap, theirs: dict[str, Tensor]) -> None:
    """Fixed sine-cosine positions that were saved anyway are ours already; learned ones belong to another model."""
    for name in key_map.learned:
        if name not in theirs:
            continue
        table = theirs.pop(name)
        table = table.reshape(-1, table.shape[-1])
        if table.shape[1] % 2 or (table - sine_positions(*table.shape)).abs().max() > 1e-4:
            raise ConfigError(
                f"model.init: {source}: {name} holds learned positions, and this model's are fixed sine and cosine: "
                "weights trained on the ones do not fit the others"
            )


def _refuse_without_norm(source: Path, key_map: KeyMap, theirs: dict[str, Tensor]) -> None:
    """An encoder that ends without a norm, as VideoMAE's classifiers do, gives other tokens than one with it."""
    if not key_map.norm or (key_map.norm in map(partial(own_key, key_map), theirs) and not _pools_mean(source)):
        return
    raise ConfigError(
        f"model.init: {source} has no norm behind its last layer (use_mean_pooling=true in transformers: a classifier, "
        "which pools first), and this model's encoder ends with one; name a pre-trained VideoMAE instead, which has "
        "use_mean_pooling=false"
    )


def _pools_mean(source: Path) -> bool:
    """Whether the config.json of a transformers folder says that the encoder ends without its norm."""
    path = source / "config.json"
    return bool(path.is_file() and read_json(path).get("use_mean_pooling"))


def _translate(
    source: Path, key_map: KeyMap, theirs: dict[str, Tensor], model: Model, given: PretrainedWeights
) -> None:
    """Put the tensors of a source into `given`, by this model's names and in its shapes."""
    parts: dict[str, dict[int, Tensor]] = {}
    for name, tensor in theirs.items():
        ours = own_key(key_map, name)
        if ours is None:
            given.unused.append(name)
            continue
        whole, _, part = ours.partition("#")
        given.origin[whole] = (source, name)
        if part:
            parts.setdefault(whole, {})[int(part)] = tensor
        else:
            given.tensors[whole] = _reshaped(whole, tensor, model, pixels_last=key_map.pixels_last)
    for whole, three in parts.items():
        if len(three) < 3 or len({tensor.shape[1:] for tensor in three.values()}) > 1:
            raise ConfigError(f"model.init: {source}: {given.origin[whole][1]} and its like do not make one {whole}")
        given.tensors[whole] = torch.cat([three[number] for number in range(3)])


def _reshaped(name: str, tensor: Tensor, model: Model, *, pixels_last: bool) -> Tensor:
    if name == "tubes.proj.weight" and tensor.ndim == 5:  # a 3-D convolution whose stride is its size
        return tensor.flatten(1)
    if name == "pixel_decoder.mask_token":
        return tensor.flatten()
    if name.startswith("pixel_decoder.head.") and pixels_last:
        order = head_order(model)
        return tensor[order] if len(tensor) == len(order) else tensor
    return tensor


def head_order(model: Model) -> list[int]:
    """Index of each value of our tubes (channel, frame, row, column) in VideoMAE's (frame, row, column, channel)."""
    pixels = model.tube_frames * model.patch**2
    return [pixel * 3 + channel for channel, pixel in product(range(3), range(pixels))]


def load_pretrained(given: PretrainedWeights, model: nn.Module, config: Config) -> tuple[str, str, str]:
    """Copy the weights into the model; gives three lines: what was loaded, what is unused, what is missing.

    Raises ConfigError, naming the tensor, if one has another shape, or where a stack of layers is given in part.
    """
    own = model.state_dict()
    fitting = {name: tensor for name, tensor in given.tensors.items() if name in own}
    for name, tensor in fitting.items():
        if tensor.shape != own[name].shape:
            path, theirs = given.origin[name]
            raise ConfigError(
                f"model.init: {path}: {theirs} is {list(tensor.shape)}, but the model's {name} takes "
                f"{list(own[name].shape)}; {_remedy(name)}"
            )
    _refuse_partial_stacks(given, fitting, own)
    _refuse_other_grid(given.grid, config.model)
    with torch.no_grad():
        for name, tensor in fitting.items():
            own[name].copy_(tensor)
    left = given.unused + [given.origin[name][1] for name in given.tensors if name not in own]
    missing = [name for name in own if name not in fitting]
    return (
        f"model.init loaded {len(fitting)} of {len(own)} tensors: {_by_part(fitting)} ({'; '.join(given.kinds)})",
        f"model.init left {len(left)} that have no place here{_some(left)}",
        f"model.init missing {len(missing)}, which start from the seed: {_by_part(missing) or 'none'}",
    )


def _remedy(name: str) -> str:
    if name.startswith(("words.word.", "word_head.")):
        return "the vocabulary must be the one it was trained with (data.tokenizer)"
    return "the model.* settings must be those it was trained with"


def _stack(name: str) -> str:
    return name.partition(".blocks.")[0] if ".blocks." in name else ""


def _refuse_partial_stacks(given: PretrainedWeights, fitting: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    """An encoder with other layers than the file's is another encoder."""
    given_stacks, own_stacks = {_stack(name) for name in fitting}, {_stack(name) for name in own}
    for name in given.tensors:
        if _stack(name) in own_stacks - {""} and name not in own:
            path, theirs = given.origin[name]
            raise ConfigError(f"model.init: {path}: {theirs} has no place in this model's layers (model.depth?)")
    for name in own:
        if _stack(name) in given_stacks - {""} and name not in fitting:
            raise ConfigError(
                f"model.init: {given.kinds}: the model's {name} is not there, though other layers are (model.depth?)"
            )


def _refuse_other_grid(grid: tuple[int, int, int] | None, model: Model) -> None:
    """Fixed positions number tubes through: on another grid the same number is another place, which must be said."""
    if grid is None or model.positions or model.grid == grid:
        return
    theirs, ours = ("x".join(map(str, sides)) for sides in (grid, model.grid))
    raise ConfigError(
        f"model.positions: the weights of model.init know the places of a grid of {theirs} tubes, and this model has "
        f"{ours}; model.positions={theirs} stretches theirs over it, model.positions={ours} numbers its own anew"
    )


def _by_part(names: Sequence[str] | dict[str, Tensor]) -> str:
    counts = Counter(name.partition(".")[0] for name in names)
    return ", ".join(f"{part} {count}" for part, count in counts.items())


def _some(names: Sequence[str]) -> str:
    if not names:
        return ""
    return ": " + ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
