"""The public class SimVTP, a trained model in use: paths of videos and plain text in, unit vectors out.

A model folder holds config.json, model.safetensors, tokenizer.json and README.md (the model card); model.init takes it
too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from simvtp.config.experiment import read_config
from simvtp.config.schema import Config, flatten, unflatten
from simvtp.data.from_config import decoding_of, frame_sampling, tokenizer_of
from simvtp.data.tokenizer import Tokenizer, load_tokenizer, pad_batch
from simvtp.data.transforms import views
from simvtp.data.video.video import Frames, Video
from simvtp.errors import DataError
from simvtp.evaluation.encode import inference
from simvtp.models.build import fresh_model
from simvtp.models.dual_encoder import DualEncoder, ZeroShot, make_dual_encoder
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.files import expanded, read_json, write_json
from simvtp.training.checkpoint import load_weights, save_weights

FORMAT = 1
FILES = ("config.json", "model.safetensors", "tokenizer.json", "README.md")
TEXTS = 128  # texts that are encoded together


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class FrameSource(Protocol):
    """An open video, such as `simvtp.data.video.video.Video`. frame_count: frames that it has, at least 1."""

    frame_count: int

    def frames(self, indices: Sequence[int], short_side: int | None = None) -> Frames:
        """uint8 [T, H, W, 3], RGB, in the order of `indices`; `short_side`: pixels that frames may be reduced to."""
        ...


class SimVTP:
    """A trained model with its tokenizer, for retrieval: `encode_text(texts) @ encode_video(paths).T` are cosines.

    Made by `SimVTP.from_pretrained(folder)`, or by `SimVTP.from_run(folder)` for a run of this project.

    model: the module that the weights are of, a pre-trained `SimVTPModel` or the fine-tuned encoders.
    encoder: the module that encodes; the same weights as two encoders.
    config: the config of the run that trained it.
    tokenizer: its vocabulary.
    about: content of the model folder's config.json (kind, preset, id, metrics, config).
    device: a GPU where there is one.
    """

    def __init__(self, model: nn.Module, config: Config, tokenizer: Tokenizer, about: dict[str, Any]) -> None:
        self.config, self.tokenizer, self.about = config, tokenizer, about
        encoder = ZeroShot(model, config) if isinstance(model, SimVTPModel) else model
        assert isinstance(encoder, DualEncoder)
        self.device = best_device()
        self.model, self.encoder = model.to(self.device), encoder.to(self.device).eval()

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> SimVTP:
        """The model of a model folder; raises DataError if the folder is none."""
        folder = expanded(str(folder))
        if not (folder / "config.json").is_file() or not (folder / "model.safetensors").is_file():
            raise DataError(f"{folder} is no model folder: it takes config.json and model.safetensors there")
        try:
            about = read_json(folder / "config.json")
        except ValueError as error:
            raise DataError(f"{folder}/config.json is not whole JSON ({error})") from error
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise DataError(f"{folder}/config.json is not of a model folder of this version (format {FORMAT})")
        path = folder / "config.json"
        try:
            config, kind = unflatten(about["config"]), str(about["kind"])
            if kind not in KINDS:
                raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is not the config of a model folder ({error})") from error
        path = folder / "tokenizer.json"
        try:
            tokenizer = load_tokenizer(str(folder), "")
            path = folder
            return cls(_filled(kind, config, tokenizer, folder / "model.safetensors"), config, tokenizer, about)
        except DataError:
            raise
        except Exception as error:  # the tokenizers library and torch raise anything
            why = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise DataError(f"{path} cannot be loaded ({why})") from error

    @classmethod
    def from_run(cls, folder: str | Path) -> SimVTP:
        """The model of a run's folder (fine-tuned) or a pre-training stage's; raises DataError if not finished."""
        folder = Path(folder)
        kinds = {"finetuned": "finetuned.safetensors", "pretrained": "weights.safetensors"}
        kind = next((kind for kind, name in kinds.items() if (folder / name).is_file()), None)
        if kind is None:
            raise DataError(f"{folder} holds neither {' nor '.join(kinds.values())}: no finished run or stage")
        config, name = read_config(folder)
        tokenizer = tokenizer_of(config)
        about = {"format": FORMAT, "kind": kind, "preset": name, "id": folder.name,
                 "metrics": _metrics_of(folder / "result.json"), "config": flatten(config)}  # fmt: skip
        return cls(_filled(kind, config, tokenizer, folder / kinds[kind]), config, tokenizer, about)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a model folder; replaces one, and raises DataError if files of its names are of another program."""
        folder = Path(folder)
        there = [name for name in FILES if (folder / name).exists()]
        if there and not _is_model_folder(folder):
            raise DataError(f"{folder} is no model folder, and holds {' and '.join(there)}; name another folder")
        save_weights(self.model, folder / "model.safetensors")
        self.tokenizer.save(folder / "tokenizer.json")
        (folder / "README.md").write_text(card(self.about, sum(p.numel() for p in self.model.parameters())))
        write_json(folder / "config.json", self.about)

    def encode_video(self, videos: Sequence[str | Path | FrameSource]) -> Tensor:
        """N videos -> unit vectors, float [N, D] on the CPU, averaged over the config's segments and crops.

        videos: paths, or open videos of any reader. Raises DataError if a video cannot be decoded, TypeError for a
        single path.
        """
        if isinstance(videos, str | Path):
            raise TypeError("encode_video takes a list of videos, not one")
        features = torch.zeros(len(videos), self.config.model.width)
        unit = self.config.evaluate.average == "unit"
        encode = self.encoder.encode_video if unit else self.encoder.video_features
        with inference(self.encoder, self.config, self.device):
            for row, video in enumerate(videos):
                clips = torch.from_numpy(np.stack(self._clips(video))).to(self.device)
                features[row] = encode(clips).mean(dim=0).cpu()
        return functional.normalize(features)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """N texts -> unit vectors, float [N, D] on the CPU; a text longer than the config's words is cut.

        Raises TypeError for a single text.
        """
        if isinstance(texts, str):
            raise TypeError("encode_text takes a list of texts, not one string")
        ids = self.tokenizer.encode(texts, self.config.model.words)
        features = torch.zeros(len(texts), self.config.model.width)
        with inference(self.encoder, self.config, self.device):
            for first in range(0, len(ids), TEXTS):
                words = pad_batch(ids[first : first + TEXTS], self.tokenizer.pad).to(self.device)
                features[first : first + TEXTS] = self.encoder.encode_text(words, words != self.tokenizer.pad).cpu()
        return features

    def _clips(self, source: str | Path | FrameSource) -> list[Frames]:
        """uint8 [T, H, W, 3] of every segment and crop, as in the test galleries."""
        reading, model, segments = decoding_of(self.config), self.config.model, self.config.evaluate.segments
        video = source
        if isinstance(video, str | Path):
            video = Video(Path(video), reading.reader, reading.seconds)
        frames = video.frames(frame_sampling(self.config, "finetune").test(video.frame_count, segments), model.size)
        crops = views(frames, self.config.evaluate.crops, model.size)
        return [part for crop in crops for part in crop.reshape(segments, model.frames, *crop.shape[1:])]


def _metrics_of(result: Path) -> dict[str, Any]:
    """The metrics of a run's result, none if it was not tested; raises DataError if the file is damaged."""
    if not result.is_file():
        return {}
    try:
        metrics: dict[str, Any] = read_json(result)["metrics"]
        _scores(metrics)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{result} is damaged ({error}); move it away, and the same run evaluates again") from error
    return metrics


def _is_model_folder(folder: Path) -> bool:
    try:
        about = read_json(folder / "config.json")
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and {"format", "kind", "preset"} <= about.keys()


def _filled(kind: str, config: Config, tokenizer: Tokenizer, weights: Path) -> nn.Module:
    """A model of that kind, on the CPU, with the weights of a file; raises DataError if they do not fit."""
    pretrained = fresh_model(config, tokenizer, added=kind == "pretrained")  # fine-tuned weights have no heads
    model = make_dual_encoder(pretrained, config) if kind == "finetuned" else pretrained
    try:
        load_weights(model, weights)
    except ValueError as error:
        raise DataError(str(error)) from error
    return model


KINDS = {
    "pretrained": "pre-trained: one encoder over tubes and words, with the heads of its objectives",
    "finetuned": "fine-tuned for text-video retrieval: a video and a text encoder",
}


def card(about: dict[str, Any], parameters: int) -> str:
    """The model card, Markdown. about: content of the folder's config.json; parameters: their number."""
    config = about["config"]
    size, frames = config["model.size"], config["model.frames"]
    return f"""# SimVTP, preset {about["preset"]}

SimVTP (arXiv 2212.03490), {KINDS[about["kind"]]}. {parameters / 1e6:.1f} million parameters; clips of {frames} frames
of {size} x {size} pixels, texts of at most {config["model.words"]} word pieces. Trained as `{about["id"]}`.

| | |
|---|---|
| pre-training | {_corpus(config["data.pretrain"])}, {config["pretrain.length"]}, batch {config["pretrain.batch"]} |
| masks | video {config["mask.video"]:.0%} ({config["mask.kind"]}), text {config["mask.text"]:.0%} |
| fine-tuning | {_tuning(about)} |
| started from | {_sources(config["model.init"])} |

{_scores(about["metrics"])}
```python
from simvtp import SimVTP

model = SimVTP.from_pretrained("this folder")
scores = model.encode_text(["a red star moves left"]) @ model.encode_video(["clip.mp4"]).T
```
"""


def _corpus(spec: str) -> str:
    """Kind and name of a corpus, without its folder."""
    kind, _, place = spec.partition(":")
    return f"{kind}:{place.rstrip('/').rpartition('/')[2]}"


def _sources(init: str) -> str:
    names = [part.rstrip("/").rpartition("/")[2] for part in init.split("+")]
    return " + ".join(names) if init else "random weights"


def _tuning(about: dict[str, Any]) -> str:
    config = about["config"]
    if about["kind"] == "pretrained":
        return "none"
    return f"{_corpus(config['data.finetune'])}, {config['finetune.length']}, batch {config['finetune.batch']}"


def _scores(metrics: dict[str, Any]) -> str:
    if not metrics:
        return "It has not been tested.\n"
    rows = ["| gallery | direction | R@1 | R@5 | R@10 | MdR |", "|---|---|---|---|---|---|"]
    for split, directions in metrics.items():
        for direction, values in directions.items():
            scores = " | ".join(f"{values[name]:.1f}" for name in ("R@1", "R@5", "R@10", "MdR"))
            rows.append(f"| {split} ({values['gallery']}) | {direction.replace('_', ' ')} | {scores} |")
    return "\n".join(rows) + "\n"
