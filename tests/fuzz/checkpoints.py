"""Damaged checkpoints against resume, from_pretrained and model.init: `python -m tests.fuzz.checkpoints --count 3000`.

Each case damages a file that reads well, at random, and gives it to one of the three, in a worker that is killed after
a while. A result is a model, or an error that names the file (ConfigError, DataError); anything else (a traceback, a
hang, a crash) is printed with its seed, and makes the exit code 1. The seed of a case is its number, so
`--first N --count 1` runs it again.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor, nn

from simvtp.config.presets import preset
from simvtp.config.schema import Config, flatten, override
from simvtp.errors import ConfigError, DataError
from simvtp.inference.retriever import SimVTP
from simvtp.models.build import fresh_model
from simvtp.models.pretrained_weights import load_pretrained, read_pretrained
from simvtp.runtime.worker_pool import Failure, each
from simvtp.training.checkpoint import save_weights
from simvtp.training.trainer import Trainer
from tests.fuzz.checkpoint_damage import damage

SECONDS = 60.0
TARGETS = ("resume", "from_pretrained", "model.init")
SMALL = {"model.width": "32", "model.heads": "2", "model.depth": "1", "model.decoder_width": "32",
         "model.decoder_heads": "2", "model.decoder_depth": "1", "pretrain.batch": "2"}  # fmt: skip


class Words:
    """The size of a vocabulary, which is all that a new model asks of a tokenizer."""

    size = 20


class Net(nn.Module):
    """A model of two tensors for the training loop."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def no_weight_decay(self) -> set[str]:
        return set()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"a": self.layer(x).square().mean()}


def config() -> Config:
    return override(preset("tiny"), SMALL)


def trainer(folder: Path) -> Trainer:
    made, model = config(), Net()
    return Trainer(
        name="pretrain", model=model, objective=model, optimisation=made.pretrain, steps=10, warmup=1,
        weights={"a": 1.0}, seed=0, folder=folder, machine=made.machine, device=torch.device("cpu"),
    )  # fmt: skip


def prepare(base: Path) -> None:
    """Files of all three kinds that read well."""
    first = trainer(base / "resume")
    for _ in range(2):
        first.wrapped.forward(torch.ones(1, 3))["a"].backward()
        first.optimizer.step()
        first.step += 1
        first.tail.append({"loss": 1.0})
        first.save()
    model = fresh_model(config(), Words())  # type: ignore[arg-type]
    save_weights(model, base / "init" / "weights.safetensors")
    torch.save({"model": model.state_dict(), "epoch": 3}, base / "init" / "weights.pth")
    torch.save(model.state_dict(), base / "init" / "old.pth", _use_new_zipfile_serialization=False)
    folder = base / "from_pretrained"
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmno"]
    from tokenizers import Tokenizer, models

    Tokenizer(models.WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]")).save(
        str(folder / "tokenizer.json")
    )
    save_weights(model, folder / "model.safetensors")
    about = {"format": 1, "kind": "pretrained", "preset": "tiny", "id": "x", "metrics": {}, "config": flatten(config())}
    (folder / "config.json").write_text(json.dumps(about))


def case(base: str, seed: int) -> tuple[str, str]:
    """The target of a case, and "read", "refused: why" or a traceback."""
    rng, target = random.Random(f"checkpoint {seed}"), TARGETS[seed % 3]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "copy"
        shutil.copytree(Path(base) / target.replace("model.init", "init"), folder)
        path = rng.choice([path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "log.jsonl"])
        try:
            damage(path, rng)
            open_(target, folder, path)
        except (ConfigError, DataError) as error:
            named = any(str(part) in str(error) for part in (path, path.parent))
            return target, f"refused: {error}" if named else f"names no file: {error}"
        except Exception:  # noqa: BLE001  (what the fuzzer looks for)
            return target, traceback.format_exc()
        return target, "read"


def open_(target: str, folder: Path, path: Path) -> None:
    if target == "resume":
        trained = trainer(folder)
        trained.wrapped.forward(torch.ones(1, 3))["a"].backward()
        trained.optimizer.step()
        trained.save()
    elif target == "from_pretrained":
        SimVTP.from_pretrained(folder)
    else:
        made = config()
        load_pretrained(read_pretrained(str(path), made.model), fresh_model(made, Words()), made)  # type: ignore[arg-type]


def fuzz(first: int, count: int, workers: int | None = None) -> tuple[Counter[str], dict[int, str]]:
    """Results by target, and what was wrong by seed."""
    counts: Counter[str] = Counter()
    wrong: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as base:
        prepare(Path(base))
        seeds = range(first, first + count)
        for seed, outcome in each(case, base, seeds, "fuzzing checkpoints", seconds=SECONDS, workers=workers):
            target, result = (TARGETS[seed % 3], outcome.why) if isinstance(outcome, Failure) else outcome
            word = result if result == "read" else "refused" if result.startswith("refused: ") else "WRONG"
            counts[f"{target}: {word}"] += 1
            if word == "WRONG":
                wrong[seed] = result
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.checkpoints", description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="cases (3000)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first (0)")
    arguments = parser.parse_args()
    counts, wrong = fuzz(arguments.first, arguments.count)
    for seed, result in itertools.islice(sorted(wrong.items()), 20):
        print(f"seed {seed}: {result}\n")
    for name, number in sorted(counts.items()):
        print(f"{name}: {number}")
    print(f"{arguments.count} cases, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
