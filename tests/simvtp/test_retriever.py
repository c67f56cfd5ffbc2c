"""A model folder, its use, and search: against the model of the same weights that was never written."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch.nn import functional

from simvtp import SimVTP, video_index
from simvtp.config import flatten, override
from simvtp.data.errors import DataError
from simvtp.data.text import load_tokenizer
from simvtp.data.video import Video, segment_indices
from simvtp.embedding import IMAGENET_MEAN, IMAGENET_STD
from simvtp.presets import preset
from simvtp.retrieval import DualEncoder
from simvtp.retriever import FORMAT, Retriever
from simvtp.search import contact_sheet, search
from simvtp.stages import fresh_model
from simvtp.timm_models import VideoTower
from simvtp.timm_parts import timm
from simvtp.validation import ConfigError

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "star", "moves", "left", "a")
CHANGES = {"model.frames": 4, "model.size": 16, "model.width": 16, "evaluate.segments": 2, "model.positions": "2x2x2"}


@pytest.fixture
def retriever(tmp_path: Path) -> Retriever:
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(WORDS))
    config, tokenizer = override(preset("tiny"), CHANGES), load_tokenizer(str(vocabulary), "")
    about = {"format": FORMAT, "kind": "finetuned", "preset": "tiny", "id": "x", "metrics": {},
             "config": flatten(config)}  # fmt: skip
    return Retriever(DualEncoder(fresh_model(config, tokenizer), config), config, tokenizer, about)


def film(path: Path, seed: int) -> Path:
    """Ten frames of 16 x 16 noise."""
    frames = np.random.default_rng(seed).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10, options={"qp": "0"})
        stream.width = stream.height = 16
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())
    return path


def test_a_folder_gives_the_same_vectors_and_the_same_folder(retriever: Retriever, tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mp4", 0)
    retriever.save_pretrained(tmp_path / "model")
    again = SimVTP.from_pretrained(tmp_path / "model")
    assert torch.equal(again.encode_text(["a red star"]), retriever.encode_text(["a red star"]))
    assert torch.equal(again.encode_video([clip]), retriever.encode_video([clip]))
    again.save_pretrained(tmp_path / "again")
    for name in ("config.json", "model.safetensors", "tokenizer.json", "README.md"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    with pytest.raises(DataError, match="is no model folder"):
        SimVTP.from_pretrained(tmp_path)


def test_vectors_are_the_encoders_averaged_over_segments(retriever: Retriever, tmp_path: Path) -> None:
    clip, encoder = film(tmp_path / "a.mp4", 0), retriever.encoder
    video = Video(clip)
    parts = [torch.from_numpy(video.frames(segment_indices(10, 4, segment, 2))) for segment in range(2)]
    with torch.no_grad():
        wanted = sum(encoder.encode_video(part.unsqueeze(0)) for part in parts)
        ids = torch.tensor([[2, 9, 5, 6, 3]])
        assert torch.allclose(retriever.encode_text(["a red star"]), encoder.encode_text(ids, ids != 0), atol=1e-6)
    assert torch.allclose(retriever.encode_video([clip]), functional.normalize(wanted), atol=1e-6)
    assert retriever.encode_text(["star", "a red star moves left"]).norm(dim=1).tolist() == pytest.approx([1, 1])


def test_search_indexes_once_by_content(
    retriever: Retriever, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIMVTP_CACHE", str(tmp_path / "cache"))
    retriever.save_pretrained(tmp_path / "model")
    folder = tmp_path / "videos"
    (folder / "deep").mkdir(parents=True)
    clips = [film(folder / "a.mp4", 1), film(folder / "deep" / "b.mp4", 2)]
    (folder / "broken.mp4").write_text("<html>")
    matches = search("a red star", folder, tmp_path / "model", 5)
    text = retriever.encode_text(["a red star"])[0]
    wanted = sorted(((float(retriever.encode_video([clip])[0] @ text), clip) for clip in clips), reverse=True)
    assert [path for _, path in matches] == [path for _, path in wanted]
    assert [score for score, _ in matches] == pytest.approx([score for score, _ in wanted], abs=1e-5)
    assert "1 of 3 videos left out" in capsys.readouterr().err

    seen: list[Path] = []
    encode = Retriever.encode_video

    def counted(self: Retriever, paths: list[Path]) -> torch.Tensor:
        seen.extend(paths)
        return encode(self, paths)

    monkeypatch.setattr(Retriever, "encode_video", counted)
    (folder / "broken.mp4").unlink()
    clips[0].rename(folder / "renamed.mp4")
    assert len(search("left", folder, tmp_path / "model", 1)) == 1
    assert seen == []  # a renamed file is the same content
    film(folder / "renamed.mp4", 3)
    search("left", folder, tmp_path / "model", 1)
    assert seen == [folder / "renamed.mp4"]

    sheet = np.asarray(contact_sheet("a red star", [(0.5, clips[1])], folder))
    film_strip = sheet[-134:-6]
    assert (film_strip[:, :6] == 255).all()  # the margin
    assert 90 < film_strip[:, 6:134].mean() < 165  # noise, enlarged


def test_another_model_has_another_index(retriever: Retriever, tmp_path: Path) -> None:
    retriever.save_pretrained(tmp_path / "one")
    first = video_index.index_file(tmp_path / "one")
    retriever.save_pretrained(tmp_path / "two")
    assert video_index.index_file(tmp_path / "two") == first
    next(iter(retriever.model.parameters())).data.add_(1)
    retriever.save_pretrained(tmp_path / "two")
    assert video_index.index_file(tmp_path / "two") != first


def test_timm_gives_the_same_video_encoder(retriever: Retriever, tmp_path: Path) -> None:
    retriever.save_pretrained(tmp_path / "model")
    assert "simvtp_base_patch16_224" in timm.list_models("simvtp*")
    tower = timm.create_model("simvtp_base_patch16_224", folder=tmp_path / "model").eval()
    assert isinstance(tower, VideoTower)
    video = torch.randint(0, 256, (2, 4, 16, 16, 3), dtype=torch.uint8)
    pixels = (video / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    with torch.no_grad():
        found = functional.normalize(tower(pixels.permute(0, 4, 1, 2, 3)))
        assert torch.allclose(found, retriever.encoder.encode_video(video), atol=1e-5)
    assert timm.create_model("simvtp_base_patch16_224", folder=tmp_path / "model", num_classes=7).head.out_features == 7
    with pytest.raises(ConfigError, match="no weights are published"):
        timm.create_model("simvtp_base_patch16_224", pretrained=True)
