"""Readers of MSR-VTT: its own files, Frozen in Time's archive, CLIP4Clip's copy, and the standard splits."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from simvtp.data.corpora.registry import load
from simvtp.errors import DataError
from tests.simvtp.data.corpora.trees import ids, shown, touch


def two_captions(root: Path, *, separator: str = ",") -> str:
    """Videos 0-3 train, 4 validate, 5-6 test, two captions each; the 9k list holds 1, 2 and 4."""
    root.mkdir(parents=True)
    split = ["train"] * 4 + ["validate"] + ["test"] * 2
    content = {
        "videos": [{"video_id": f"video{i}", "split": name, "id": i} for i, name in enumerate(split)],
        "sentences": [
            {"sen_id": i, "video_id": f"video{i // 2}", "caption": f"caption  {i % 2} of {i // 2}"} for i in range(14)
        ],
    }
    (root / "MSRVTT_data.json").write_text(json.dumps(content))
    (root / "MSRVTT_train.9k.csv").write_text("video_id\nvideo1\nvideo2\nvideo4\n")
    rows = [
        ("key", "vid_key", "video_id", "sentence"),
        ("ret0", "msr6", "video6", "six"),
        ("ret1", "m5", "video5", "5"),
    ]
    (root / "MSRVTT_JSFUSION_test.csv").write_text("\n".join(separator.join(row) for row in rows))
    (root / "videos" / "all").mkdir(parents=True)
    for i in range(7):
        (root / "videos" / "all" / f"video{i}.mp4").touch()
    return f"msrvtt:{root}"


@pytest.mark.parametrize("separator", [",", ";"])
def test_msrvtt_splits(tmp_path: Path, separator: str, caplog: pytest.LogCaptureFixture):
    spec = two_captions(tmp_path / "m", separator=separator)
    assert ids(spec, "train") == ["video1", "video2"]
    assert "1 of the 3 videos in MSRVTT_train.9k.csv are validation videos" in caplog.text
    assert ids(spec, "val") == ["video4"]
    assert load(spec, "train").samples[0].captions == ("caption 0 of 1", "caption 1 of 1")
    assert [(s.video_id, s.captions) for s in load(spec, "test").samples] == [("video6", ("six",)), ("video5", ("5",))]
    (tmp_path / "m/MSRVTT_train.9k.csv").unlink()
    assert ids(spec, "train") == ["video0", "video1", "video2", "video3"]


def test_msrvtt_never_trains_on_a_test_video(tmp_path: Path):
    spec = two_captions(tmp_path / "m")
    (tmp_path / "m/MSRVTT_train.9k.csv").write_text("video_id\nvideo1\nvideo5\n")
    with pytest.raises(DataError, match="1 videos are in the test list as well, such as 'video5'"):
        load(spec, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("sentences"), "no list 'sentences'"),
        (lambda c: c["videos"][2].pop("split"), r"videos\[2\]: the field 'split'"),
        (lambda c: c["sentences"][3].pop("caption"), r"sentences\[3\]: the field 'caption'"),
        (lambda c: c["sentences"][3].update(caption=["x"]), r"sentences\[3\]: a caption has to be text, not list"),
        (lambda c: c["sentences"].clear(), "'video1' of split train has no sentence"),
    ],
)
def test_bad_msrvtt_annotations(tmp_path: Path, change, message: str):
    spec = two_captions(tmp_path / "m")
    path = tmp_path / "m/MSRVTT_data.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        load(spec, "train")
    path.write_text("{")
    with pytest.raises(DataError, match="not whole JSON"):
        load(spec, "train")


@pytest.mark.parametrize("name", ["MSRVTT_JSFUSION_test.csv", "variant_semicolon_MSRVTT_JSFUSION_test.csv"])
def test_real_msrvtt_annotations(tmp_path: Path, shared: Path, name: str):
    annotations = shared / "annotations"
    (tmp_path / "MSRVTT_JSFUSION_test.csv").write_bytes((annotations / name).read_bytes())
    (tmp_path / "MSRVTT_data.json").symlink_to(annotations / "MSRVTT_data_reconstructed.json")
    (tmp_path / "MSRVTT_train.9k.csv").symlink_to(annotations / "MSRVTT_train.9k.csv")
    (tmp_path / "videos").mkdir()
    for i in range(10_000):
        (tmp_path / "videos" / f"video{i}.mp4").touch()
    test, val, train = (load(f"msrvtt:{tmp_path}", split) for split in ("test", "val", "train"))
    assert len(test.samples) == 1000
    assert len({sample.captions for sample in test.samples}) == 995
    assert test.samples[0].captions == ("a person is connecting something to system",)
    assert len(val.samples) == 497
    assert len(train.samples) == 9000 - 497


def six_videos(root: Path) -> Path:
    split = ["train"] * 3 + ["validate"] + ["test"] * 2
    content = {
        "videos": [{"video_id": f"video{i}", "split": name} for i, name in enumerate(split)],
        "sentences": [{"video_id": f"video{i // 2}", "caption": f"{i}"} for i in range(12)],
    }
    (root / "MSRVTT_data.json").write_text(json.dumps(content))
    (root / "MSRVTT_train.9k.csv").write_text("video_id\nvideo0\nvideo1\nvideo3\nvideo5\n")
    (root / "MSRVTT_train.7k.csv").write_text("video_id\nvideo1\nvideo3\n")
    (root / "MSRVTT_JSFUSION_test.csv").write_text("key,vid_key,video_id,sentence\nret0,msr4,video4,four\n")
    touch(root / "videos", *(f"video{i}.mp4" for i in range(6)))
    return root


@pytest.mark.parametrize(
    ("standard", "train", "test"),
    [
        ("", ["video0", "video1", "video5"], {"video4": ("four",)}),
        ("?split=1k-A", ["video0", "video1", "video5"], {"video4": ("four",)}),
        ("?split=9k", ["video0", "video1", "video5"], {"video4": ("four",)}),
        ("?split=7k", ["video1"], {"video4": ("four",)}),
        ("?split=full", ["video0", "video1", "video2"], {"video4": ("8", "9"), "video5": ("10", "11")}),
    ],
)
def test_standard_splits_of_msrvtt(tmp_path: Path, standard: str, train: list[str], test: dict[str, tuple[str, ...]]):
    spec = f"msrvtt:{six_videos(tmp_path)}{standard}"
    assert list(shown(spec, "train")) == train
    assert list(shown(spec, "val")) == ["video3"]
    assert shown(spec, "test") == test


def test_files_of_msrvtt_that_do_not_belong_together(tmp_path: Path):
    root = six_videos(tmp_path)
    (root / "MSRVTT_train.7k.csv").write_text("video_id\nvideo1\nvideo77\n")
    with pytest.raises(
        DataError, match=r"train\.7k\.csv: 1 of its videos are not in MSRVTT_data\.json, such as 'video77'"
    ):
        load(f"msrvtt:{root}?split=7k", "train")
    content = json.loads((root / "MSRVTT_data.json").read_text())
    content["videos"].append({"video_id": "video0", "split": "test"})
    (root / "MSRVTT_data.json").write_text(json.dumps(content))
    with pytest.raises(
        DataError, match=r"videos\[6\]: the video 'video0' is both in split 'train' and in split 'test'"
    ):
        load(f"msrvtt:{root}?split=full", "test")


def test_a_named_split_needs_its_list(tmp_path: Path):
    root = six_videos(tmp_path)
    (root / "MSRVTT_train.7k.csv").unlink()
    with pytest.raises(DataError, match=r"train\.7k\.csv cannot be read"):
        load(f"msrvtt:{root}?split=7k", "train")
    with pytest.raises(DataError, match="split=8k: no such split; it takes 1k-A, 9k, 7k, full"):
        load(f"msrvtt:{root}?split=8k", "train")


def frozen(root: Path, lists: str) -> str:
    """The archive of Frozen in Time: videos 0-2 train, 3 validate, 4-5 test, two captions each."""
    pairs = [{"image_id": f"video{i // 2}", "caption": f"caption {i}", "id": i} for i in range(12)]
    (root / lists).mkdir(parents=True)
    (root / "annotation").mkdir()
    (root / "annotation/MSR_VTT.json").write_text(json.dumps({"info": {}, "images": [], "annotations": pairs}))
    listed = {
        "train_list_full": "video0\nvideo1\nvideo2\n",
        "val_list_full": "video3\n",
        "test_list_full": "video4\nvideo5\n",
        "train_list_jsfusion": "video1\nvideo2\nvideo3\nvideo5\n",
        "val_list_jsfusion": "video4\n",
        "train_list_miech": "video0\nvideo3\n",
    }
    for name, text in listed.items():
        (root / lists / f"{name}.txt").write_text(text)
    (root / lists / "jsfusion_val_caption_idx.pkl").write_bytes(pickle.dumps({"video4": 1}))
    touch(root / "videos" / "all", *(f"video{i}.mp4" for i in range(6)))
    return f"msrvtt:{root}"


@pytest.mark.parametrize("lists", ["structured-symlinks", "high-quality/structured-symlinks"])
def test_msrvtt_from_the_archive_of_frozen_in_time(tmp_path: Path, lists: str):
    spec = frozen(tmp_path, lists)
    assert list(shown(spec, "train")) == ["video1", "video2", "video5"]
    assert list(shown(f"{spec}?split=7k", "train")) == ["video0"]
    assert shown(spec, "val") == {"video3": ("caption 6", "caption 7")}
    assert shown(spec, "test") == {"video4": ("caption 9",)}
    assert shown(f"{spec}?split=full", "test")["video5"] == ("caption 10", "caption 11")
    (tmp_path / "MSRVTT_JSFUSION_test.csv").write_text("key,vid_key,video_id,sentence\nret0,msr4,video4,four\n")
    assert shown(spec, "test") == {"video4": ("four",)}
    (tmp_path / lists / "train_list_jsfusion.txt").write_text("video4\n")
    with pytest.raises(DataError, match="1 videos are in the test list as well"):
        load(spec, "train")


def test_the_query_of_a_test_video_has_to_be_chosen(tmp_path: Path):
    spec = frozen(tmp_path, "structured-symlinks")
    (tmp_path / "structured-symlinks/jsfusion_val_caption_idx.pkl").write_bytes(pickle.dumps({"video4": 2}))
    with pytest.raises(DataError, match=r"no caption is chosen for 'video4'; put MSRVTT_JSFUSION_test\.csv into"):
        load(spec, "test")


def test_msrvtt_as_clip4clip_has_it(tmp_path: Path):
    root = six_videos(tmp_path)
    (root / "videos").rename(root / "MSRVTT_Videos")
    assert load(f"msrvtt:{root}", "test").samples[0].path == root / "MSRVTT_Videos" / "video4.mp4"
