"""A model folder, its use, and search: against the model of the same weights that was never written."""

import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.stream import Disposition
from PIL import Image
from torch.nn import functional

from simvtp import SimVTP
from simvtp.cli import main
from simvtp.data.video.sampling import segment_indices
from simvtp.data.video.video import Video
from simvtp.errors import ConfigError, DataError
from simvtp.evaluation.metrics import both_directions
from simvtp.inference import retriever as retriever_module
from simvtp.inference import video_index
from simvtp.inference.timm_models import VideoTower
from simvtp.runtime.constants import IMAGENET_MEAN, IMAGENET_STD
from simvtp.runtime.timm_compat import param_groups_layer_decay, timm
from simvtp.search import _main as search_command
from simvtp.search import contact_sheet, search
from tests.simvtp.films import film


def test_a_folder_gives_the_same_vectors_and_the_same_folder(retriever: SimVTP, tmp_path: Path) -> None:
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


def test_vectors_are_the_encoders_averaged_over_segments(retriever: SimVTP, tmp_path: Path) -> None:
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
    retriever: SimVTP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
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
    assert "1 of 3 videos left out" in caplog.text

    seen: list[Path] = []
    encode = SimVTP.encode_video

    def counted(self: SimVTP, paths: list[Path]) -> torch.Tensor:
        seen.extend(paths)
        return encode(self, paths)

    monkeypatch.setattr(SimVTP, "encode_video", counted)
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


def test_search_takes_every_format_and_names_what_it_skips(
    retriever: SimVTP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SIMVTP_CACHE", str(tmp_path / "cache"))
    retriever.save_pretrained(tmp_path / "model")
    folder = tmp_path / "videos"
    folder.mkdir()
    taken = [film(folder / f"v.{ending}", 1) for ending in ("flv", "3gp", "ts", "m4v", "MKV", "mov", "h264")]
    for name in ("notes.txt", "song.mp3", ".hidden.mp4", "no-ending"):
        (folder / name).write_text("x")
    with av.open(str(folder / "song.mp4"), "w") as file:
        cover = file.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt = "yuvj420p"
        cover.disposition = Disposition.attached_pic
        sound = file.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        file.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")))
        for part in (frame, None):
            file.mux(sound.encode(part))
        file.mux(cover.encode(None))
    with caplog.at_level("INFO"):
        assert sorted(path for _, path in search("a star", folder, tmp_path / "model", 99)) == sorted(taken)
    assert "3 files of" in caplog.text
    assert all(f"1 of {ending}" in caplog.text for ending in (".txt", ".mp3", "no ending"))
    assert "1 of 8 videos left out" in caplog.text
    assert f"{folder}/song.mp4: cannot be read (pyav: no video stream" in caplog.text


def test_another_model_has_another_index(retriever: SimVTP, tmp_path: Path) -> None:
    retriever.save_pretrained(tmp_path / "one")
    first = video_index.index_file(tmp_path / "one")
    retriever.save_pretrained(tmp_path / "two")
    assert video_index.index_file(tmp_path / "two") == first
    next(iter(retriever.model.parameters())).data.add_(1)
    retriever.save_pretrained(tmp_path / "two")
    assert video_index.index_file(tmp_path / "two") != first


def test_an_index_is_of_weights_and_not_of_scores(retriever: SimVTP, tmp_path: Path) -> None:
    retriever.save_pretrained(tmp_path / "one")
    first = video_index.index_file(tmp_path / "one")
    retriever.about["metrics"] = {"test": both_directions(torch.eye(3), torch.eye(3), range(3)).metrics}
    retriever.about["id"] = "y"
    retriever.save_pretrained(tmp_path / "one")
    assert video_index.index_file(tmp_path / "one") == first
    retriever.about["config"]["evaluate.segments"] = 3
    retriever.save_pretrained(tmp_path / "one")
    assert video_index.index_file(tmp_path / "one") != first


def test_the_command(
    retriever: SimVTP, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIMVTP_CACHE", str(tmp_path / "cache"))
    retriever.save_pretrained(tmp_path / "model")
    (tmp_path / "videos").mkdir()
    for number in range(3):
        film(tmp_path / "videos" / f"{number}.mp4", number)
    places = ["--videos", str(tmp_path / "videos"), "--model", str(tmp_path / "model")]

    def said(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["search", *words, *places])
        code = 0
        try:
            main(search_command)
        except SystemExit as end:
            code = int(str(end.code))
        heard = capsys.readouterr()
        return code, heard.out, heard.err

    sheet = tmp_path / "deep" / "sheet.png"
    code, out, err = said("a red zebra", "--top", "2", "--sheet", str(sheet))
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["1", "2"]
    assert "without effect: zebra" in err
    with Image.open(sheet) as picture:
        assert picture.size == (4 * 128 + 5 * 6, 18 + 12 + 2 * (128 + 18 + 6))
    for words, message in (
        (("Zebra, Okapi",), "no word of"),
        ((" ",), "the text some words"),
        (("red", "--sheet", "x.gif"), "call it x.png"),
    ):
        assert message in said(*words)[2], words
    index = video_index.index_file(tmp_path / "model")
    index.write_bytes(b"no database" * 100)
    code, _, err = said("red", "--sheet", str(sheet))
    assert code == 2
    assert f"the index {index} is damaged" in err


def test_timm_gives_the_same_video_encoder(retriever: SimVTP, tmp_path: Path) -> None:
    retriever.save_pretrained(tmp_path / "model")
    assert "simvtp_base_patch16_224" in timm.list_models("simvtp*")
    tower = timm.create_model("simvtp_base_patch16_224", folder=tmp_path / "model").eval()
    assert isinstance(tower, VideoTower)
    video = torch.randint(0, 256, (2, 4, 16, 16, 3), dtype=torch.uint8)
    pixels = (video / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    with torch.no_grad():
        actual = functional.normalize(tower(pixels.permute(0, 4, 1, 2, 3)))
        assert torch.allclose(actual, retriever.encoder.encode_video(video), atol=1e-5)
        tokens = tower.forward_features(pixels.permute(0, 4, 1, 2, 3))
    assert tokens.shape == (2, retriever.config.model.tubes, 16)
    assert torch.equal(tower.forward_head(tokens, pre_logits=True), tower.forward_head(tokens))
    named = timm.create_model("simvtp_base_patch16_224", folder=tmp_path / "model", num_classes=7)
    assert named.get_classifier().out_features == 7
    named.reset_classifier(3)
    assert named.forward_head(tokens).shape == (2, 3)
    assert named.forward_head(tokens, pre_logits=True).shape == (2, 16)
    groups = param_groups_layer_decay(named, layer_decay=0.5)
    assert {group["lr_scale"] for group in groups} == {0.5**k for k in range(retriever.config.model.depth + 2)}
    with pytest.raises(ConfigError, match="no weights are published"):
        timm.create_model("simvtp_base_patch16_224", pretrained=True)


@pytest.mark.parametrize("name", ["README.md", "config.json"])
def test_files_of_others_are_not_replaced(name: str, retriever: SimVTP, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / name).write_text('{"format": "mine"}')
    with pytest.raises(DataError, match=rf"is no model folder, and holds {name}; name another folder"):
        retriever.save_pretrained(folder)
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, '{"format": "mine"}')]


@pytest.mark.parametrize("content", ["[]", "null", "{}", '{"metrics": [1]}', '{"metrics": {"test": {"gallery": 1}}}'])
def test_a_result_of_another_kind_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(DataError, match=r"result\.json is damaged"):
        retriever_module._metrics_of(tmp_path / "result.json")
