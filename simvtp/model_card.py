"""README.md of a model folder: what the model is, how it was trained, what it scored, and how to use it."""

from __future__ import annotations

from typing import Any

KINDS = {
    "pretrained": "pre-trained: one encoder over tubes and words, with the heads of its objectives",
    "finetuned": "fine-tuned for text-video retrieval: a video and a text encoder",
}


def card(about: dict[str, Any], parameters: int) -> str:
    """`about`: the content of the folder's config.json."""
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
    """Kind and name, without where it lies on the machine that trained."""
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
        for direction, found in directions.items():
            scores = " | ".join(f"{found[name]:.1f}" for name in ("R@1", "R@5", "R@10", "MdR"))
            rows.append(f"| {split} ({found['gallery']}) | {direction.replace('_', ' ')} | {scores} |")
    return "\n".join(rows) + "\n"
