"""Probes on features whose classes are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from simvtp import SimVTP
from simvtp.config.presets import preset
from simvtp.config.schema import flatten, override
from simvtp.data.corpora.registry import load
from simvtp.data.sprites.scenes import COLOURS, MOTIONS, SHAPES
from simvtp.data.tokenizer import load_tokenizer
from simvtp.errors import DataError
from simvtp.evaluation.probe import _accuracy, _attentive, _linear, _numbers, labels_of, probe
from simvtp.inference.retriever import FORMAT
from simvtp.models.build import fresh_model
from simvtp.models.dual_encoder import DualEncoder
from simvtp.probe import probed
from tests.simvtp.films import film


def blobs(count: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """[count, 8] around three centres far from zero, of very unequal scales, and the centre of each."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.eye(3, 8) * 1e-3
    target = torch.arange(count) % 3
    return centres[target] + 5 + noise * torch.randn(count, 8, generator=random), target


def test_the_linear_probe_finds_what_a_line_separates() -> None:
    (train, known), (val, chosen), (test, right) = (blobs(60, 1e-4, seed) for seed in range(3))
    assert (_linear((train, val, test), known, chosen, 3) == right).all()
    noise = torch.randn(3000, 8, generator=torch.Generator().manual_seed(9))
    actual = _linear((train, val, noise), known, chosen, 3)
    assert 0.2 < float((actual == torch.arange(3000) % 3).float().mean()) < 0.47


def test_the_attentive_probe_finds_one_token_among_others() -> None:
    """The class is the first token's place among those that are marked; the mean over tokens is the same for all."""

    def clips(count: int, seed: int) -> tuple[Tensor, Tensor]:
        random = torch.Generator().manual_seed(seed)
        target = torch.randint(3, (count,), generator=random)
        values = torch.eye(3, 16)[torch.stack((target, (target + 1) % 3, (target + 2) % 3), dim=1)]
        values[:, 0, 8] = 4.0  # the mark of the token that counts
        return values + 0.05 * torch.randn(values.shape, generator=random), target

    (train, known), (val, chosen), (test, right) = clips(300, 0), clips(60, 1), clips(100, 2)
    actual = _attentive((train, val, test), known, chosen, 3, seed=0)
    assert float((actual == right).float().mean()) > 0.95
    assert torch.equal(actual, _attentive((train, val, test), known, chosen, 3, seed=0))


def test_accuracy_has_wilsons_interval_and_the_commonest_class_as_chance() -> None:
    train, test = torch.tensor([0, 1, 1]), torch.tensor([1, 1, 1, 0, 0, 0, 0, 0, -1, -1])
    actual = _accuracy(torch.tensor([1, 1, 1, 0, 0, 0, 0, 0, 0, 1]), train, test, 2)
    assert (actual.value, actual.clips, actual.classes) == (80, 10, 2)
    assert actual.chance == pytest.approx(30)
    assert (actual.low, actual.high) == pytest.approx((49.016, 94.332), abs=1e-3)
    assert _numbers(["b", "x", "a"], ["a", "b"]).tolist() == [1, -1, 0]


def test_labels_of_the_embedded_corpus_are_what_its_captions_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SIMVTP_CACHE", str(tmp_path))
    corpus = load("sprites:tiny?clips=4&pretrain_validation=1&finetune=8&validation=4&test=4&test_seen=1", "train")
    labels = labels_of(corpus)
    for place, sample in enumerate(corpus.samples):
        text = " ".join(sample.captions)
        for words in (SHAPES[labels["shape"][place]], COLOURS[labels["colour"][place]],
                      COLOURS[labels["ground"][place]], MOTIONS[labels["motion"][place]]):  # fmt: skip
            assert any(word in text for word in words)


@pytest.fixture
def labelled(tmp_path: Path) -> str:
    """Nine videos of noise in three splits, each with one of two classes."""
    rows = ["video,caption,split,kind"]
    for number in range(9):
        film(tmp_path / f"{number}.mp4", number)
        rows.append(f"{number}.mp4,a star,{('train', 'val', 'test')[number % 3]},{'ab'[number % 2]}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    return f"csv:{tmp_path}/list.csv"


@pytest.mark.parametrize("head", ["linear", "attentive"])
def test_a_users_corpus_with_a_column_of_labels(labelled: str, tmp_path: Path, head: str) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "star")))
    (tmp_path / "5.mp4").write_text("broken")
    tokenizer = load_tokenizer(str(tmp_path / "vocab.txt"), "")
    config = override(
        preset("tiny"),
        {"model.frames": 4, "model.size": 16, "model.patch": 8, "model.tube_frames": 2, "model.width": 16},
    )
    model = DualEncoder(fresh_model(config, tokenizer), config)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    actual = probe(model, config, tokenizer, f"{labelled}?label=kind", head, torch.device("cpu"))  # type: ignore[arg-type]
    assert {name: (label.clips, label.classes) for name, label in actual.items()} == {"label": (2, 2)}
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    with pytest.raises(DataError, match=r"3 of 3 videos have no label.*\?label=COLUMN"):
        probe(model, config, tokenizer, labelled, "linear", torch.device("cpu"))
    about = {
        "format": FORMAT,
        "kind": "finetuned",
        "preset": "tiny",
        "id": "x",
        "metrics": {},
        "config": flatten(config),
    }
    SimVTP(model, config, tokenizer, about).save_pretrained(tmp_path / "model")
    assert probed(tmp_path / "model", f"{labelled}?label=kind", head)[1] == actual  # type: ignore[arg-type]
