"""Features of a gallery: how clips are averaged, which frames they hold, and which captions are padded together."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.config.schema import Config, override
from simvtp.data.tokenizer import Tokenizer, load_tokenizer
from simvtp.data.transforms import views
from simvtp.data.video.video import Video
from simvtp.evaluation.encode import encode_captions, encode_gallery, gallery
from simvtp.inference.retriever import FORMAT, SimVTP
from simvtp.models.build import fresh_model
from simvtp.models.dual_encoder import DualEncoder
from tests.simvtp.films import film
from tests.small_config import CONFIG

CPU = torch.device("cpu")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
VIDEOS = 15
CAPTIONS = [" ".join("abc"[i % 3] for i in range(1 + number % 5)) for number in range(VIDEOS)]


@pytest.fixture
def corpus(tmp_path: Path) -> dict[str, str]:
    """A list of videos with one caption of 1 to 5 words each."""
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    lines = ["video,caption,split"]
    for number, caption in enumerate(CAPTIONS):
        film(tmp_path / f"{number}.mp4", number)
        lines.append(f"{number}.mp4,{caption},test")
    (tmp_path / "clips.csv").write_text("\n".join(lines))
    return {
        "data.pretrain": f"csv:{tmp_path}/clips.csv", "data.finetune": f"csv:{tmp_path}/clips.csv",
        "data.tokenizer": f"{tmp_path}/vocab.txt", "model.frames": "4", "model.size": "16",
        "machine.frame_cache": "off", "evaluate.segments": "2", "data.finetune_stride": "2", "data.short": "repeat",
    }  # fmt: skip


def prepared(changes: dict[str, str]) -> tuple[Config, Tokenizer, DualEncoder]:
    config = override(CONFIG, changes)
    tokenizer = load_tokenizer(config.data.tokenizer, "")
    model = DualEncoder(fresh_model(config, tokenizer), config)
    with torch.no_grad():  # features of clips must differ in length, which a norm that is 1 and 0 prevents
        model.video_norm.bias.normal_(generator=torch.Generator().manual_seed(0))
        model.video_norm.weight.normal_(generator=torch.Generator().manual_seed(1))
    return config, tokenizer, model.eval()


def clips_of(path: Path) -> Tensor:
    """The two clips of a video of 10 frames, uint8 [2, 4, 16, 16, 3]: windows of 4 of its frames 0, 2, 4, 6, 8."""
    video = Video(path)
    assert video.frame_count == 10
    parts = [views(video.frames(indices, 16), 1, 16)[0] for indices in ([0, 2, 4, 6], [2, 4, 6, 8])]
    return torch.from_numpy(np.stack(parts))


@torch.no_grad()
@pytest.mark.parametrize("average", ["unit", "raw"])
def test_features_of_clips_are_averaged_raw_or_as_unit_vectors(
    corpus: dict[str, str], tmp_path: Path, average: str
) -> None:
    config, tokenizer, model = prepared({**corpus, "evaluate.average": average})
    videos, _ = encode_gallery(model, gallery(config, tokenizer, "test", views=True), config, CPU)
    clips = clips_of(tmp_path / "3.mp4")
    features = {"raw": model.video_features(clips), "unit": model.encode_video(clips)}
    wanted = {name: functional.normalize(actual.mean(dim=0), dim=0) for name, actual in features.items()}
    assert torch.allclose(videos[3], wanted[average], atol=1e-6)
    assert (wanted["raw"] - wanted["unit"]).abs().max() > 1e-4

    about = {"format": FORMAT, "kind": "finetuned", "preset": "tiny", "id": "x", "metrics": {}, "config": {}}
    retriever = SimVTP(model, config, tokenizer, about)
    assert torch.allclose(retriever.encode_video([tmp_path / "3.mp4"])[0].cpu(), videos[3], atol=1e-5)


@torch.no_grad()
def test_captions_that_are_padded_together_are_those_of_the_release(corpus: dict[str, str]) -> None:
    config, tokenizer, model = prepared({**corpus, "model.text_mean": "padded"})
    actual = encode_captions(model, gallery(config, tokenizer, "test", views=True), config, CPU)
    ids = tokenizer.encode(CAPTIONS, 24)
    words = torch.tensor([each + [0] * (7 - len(each)) for each in ids])  # 5 words, [CLS] and [SEP]
    for first in (0, 12):
        part = words[first : first + 12]
        assert torch.allclose(actual[first : first + 12], model.encode_text(part, part != 0), atol=1e-6)


@torch.no_grad()
def test_without_padding_in_the_mean_a_caption_has_one_feature_in_every_batch(corpus: dict[str, str]) -> None:
    config, tokenizer, model = prepared(corpus)
    actual = encode_captions(model, gallery(config, tokenizer, "test", views=True), config, CPU)
    for caption, feature in zip(CAPTIONS, actual, strict=True):
        words = torch.tensor(tokenizer.encode([caption], 24))
        assert torch.allclose(model.encode_text(words, words != 0)[0], feature, atol=1e-6)
