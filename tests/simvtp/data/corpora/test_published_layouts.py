"""Readers of the published layouts, on small copies of them written here by hand."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from simvtp.data.corpora.msvd import read_pickle
from simvtp.data.corpora.registry import load
from simvtp.errors import DataError
from tests.simvtp.data.corpora.trees import shown, touch


def msvd(root: Path) -> str:
    for split, ids in {"train": "a_1_5\nb_2_9\n", "val": "c_0_3\r\n", "test": "d_4_8\n\n"}.items():
        (root / f"{split}_list.txt").write_text(ids)
    captions = {
        "a_1_5": [["a", "man"], ["he", "sings"]],
        "b_2_9": ["one  text"],
        "c_0_3": [["c"]],
        "d_4_8": [["d"], ["dd"]],
    }
    (root / "raw-captions.pkl").write_bytes(pickle.dumps(captions, protocol=2))
    touch(root / "YouTubeClips", "a_1_5.avi", "b_2_9.mp4", "c_0_3.avi", "d_4_8.avi")
    return f"msvd:{root}"


def test_msvd_has_every_caption_as_a_query(tmp_path: Path):
    spec = msvd(tmp_path)
    assert shown(spec, "pretrain") == {"a_1_5": ("a man", "he sings"), "b_2_9": ("one text",)}
    assert shown(spec, "val") == {"c_0_3": ("c",)}
    assert shown(spec, "test") == {"d_4_8": ("d", "dd")}
    files = [sample.path for sample in load(spec, "train").samples]
    assert files == [tmp_path / "YouTubeClips/a_1_5.avi", tmp_path / "YouTubeClips/b_2_9.mp4"]
    (tmp_path / "test_list.txt").write_text("unknown\n")
    with pytest.raises(DataError, match="no list of captions for the video 'unknown'"):
        load(spec, "test")


@pytest.mark.parametrize("caption", [None, b"x", {"a": 1}, ["a", 3], [["a"]]])
def test_an_msvd_caption_that_is_no_text_is_named(tmp_path: Path, caption: object):
    spec = msvd(tmp_path)
    (tmp_path / "train_list.txt").write_text("a_1_5 \n")
    (tmp_path / "raw-captions.pkl").write_bytes(pickle.dumps({"a_1_5": ["fine"]}))
    assert shown(spec, "train") == {"a_1_5": ("fine",)}
    (tmp_path / "raw-captions.pkl").write_bytes(pickle.dumps({"a_1_5": ["fine", caption]}))
    with pytest.raises(
        DataError, match=r"raw-captions\.pkl: caption 1 of the video 'a_1_5' is neither text nor a list"
    ):
        load(spec, "train")


class Command:
    """Its pickle runs a command when it is loaded by Python's own reader."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.touched}",)


def test_a_pickle_runs_nothing(tmp_path: Path):
    path, touched = tmp_path / "bad.pkl", tmp_path / "touched"
    path.write_bytes(pickle.dumps({"a": Command(touched)}))
    with pytest.raises(DataError, match=r"bad\.pkl is refused .*only plain values"):
        read_pickle(path)
    assert not touched.exists()
    pickle.loads(path.read_bytes())
    assert touched.exists()  # the same file does run its command elsewhere, so the refusal was needed


@pytest.mark.parametrize("content", [b"", b"\x80\x02}", b"<html>", b"cbuiltins\neval\n(S'1'\ntR."])
def test_a_damaged_pickle_is_named(tmp_path: Path, content: bytes):
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.pkl"):
        read_pickle(tmp_path / "x.pkl")


def test_didemo_joins_the_descriptions_of_a_video(tmp_path: Path):
    entries = [
        {"video": "x@N01_1.mov", "description": "first  part", "times": [[0, 0]]},
        {"video": "y.avi", "description": "other", "times": [[1, 1]]},
        {"video": "x@N01_1.mov", "description": "second part", "times": [[2, 2]]},
    ]
    (tmp_path / "test_data.json").write_text(json.dumps(entries))
    touch(tmp_path / "videos", "x@N01_1.mp4", "y.avi")
    spec = f"didemo:{tmp_path}"
    assert shown(spec, "test") == {"x@N01_1.mov": ("first part second part",), "y.avi": ("other",)}
    assert load(spec, "test").samples[0].path == tmp_path / "videos/x@N01_1.mp4"
    entries.append({"video": "../../etc/passwd", "description": "d"})
    (tmp_path / "test_data.json").write_text(json.dumps(entries))
    with pytest.raises(DataError, match="leads outside"):
        load(spec, "test")


def test_lsmdc_by_movie_and_flat(tmp_path: Path):
    first, second = "10_Film_A_00.00.51.926-00.00.54.129", "11_B_01.02.03.000-01.02.04.500"
    rows = [f'{first}\t1\t2\t3\t4\tSOMEONE says "go', f"{second}\t1\t2\t3\t4\tHe runs.", f"{first}\t1\t2\t3\t4\tAgain."]
    (tmp_path / "LSMDC16_annos_training.csv").write_text("\n".join(rows) + "\n")
    touch(tmp_path / "videos", f"10_Film_A/{first}.avi", f"{second}.mp4")
    spec = f"lsmdc:{tmp_path}"
    assert shown(spec, "train") == {first: ('SOMEONE says "go', "Again."), second: ("He runs.",)}
    paths = [sample.path for sample in load(spec, "train").samples]
    assert paths == [tmp_path / f"videos/10_Film_A/{first}.avi", tmp_path / f"videos/{second}.mp4"]
    (tmp_path / "LSMDC16_challenge_1000_publictect.csv").write_text(f"{first}\t1\t2\tonly four\n")
    with pytest.raises(DataError, match=r"publictect\.csv, line 1 .*there are 4 fields"):
        load(spec, "test")
    (tmp_path / "LSMDC16_annos_val.csv").write_text("clip\t1\t2\t3\t4\tx\n")
    with pytest.raises(DataError, match="'clip' is no clip id"):
        load(spec, "val")


def test_activitynet_validates_on_training_videos_and_tests_on_val_1(tmp_path: Path):
    videos = [f"v_{i:03}" for i in range(400)]
    train = {video: {"timestamps": [[0, 1], [1, 2]], "sentences": [" A.", f" {video}."]} for video in videos}
    (tmp_path / "train.json").write_text(json.dumps(train))
    (tmp_path / "val_1.json").write_text(json.dumps({"v_t": {"sentences": ["One.", "Two."]}}))
    touch(tmp_path / "videos", *(f"{video}.mkv" for video in videos), "v_t.mp4")
    spec = f"activitynet:{tmp_path}"
    assert shown(spec, "test") == {"v_t": ("One. Two.",)}
    training, validation = shown(spec, "train"), shown(spec, "val")
    assert not training.keys() & validation.keys()
    assert training | validation == {video: (f"A. {video}.",) for video in videos}
    assert 8 <= len(validation) <= 32  # 20 expected, standard deviation 4.4
    (tmp_path / "train.json").write_text(json.dumps(dict(reversed(train.items()))))
    assert shown(spec, "val") == validation


def test_real_didemo_annotations(tmp_path: Path, shared: Path):
    (tmp_path / "val_data.json").symlink_to(shared / "annotations" / "didemo_val_data.json")
    entries = json.loads((tmp_path / "val_data.json").read_text())
    touch(tmp_path / "videos", *{entry["video"] for entry in entries})
    actual = shown(f"didemo:{tmp_path}", "val")
    assert len(entries) == 4180
    assert len(actual) == len({entry["video"] for entry in entries}) == 1094
    assert sum(len(caption[0].split()) for caption in actual.values()) == sum(
        len(entry["description"].split()) for entry in entries
    )


@pytest.mark.parametrize(
    ("summary", "listed", "message"),
    [
        ([], [], r"packed\.json does not say how many shards"),
        ({"splits": {"train": "1"}}, [], r"packed\.json does not say how many shards"),
        ({"splits": {"train": 1}}, [{"captions": []}], r"000000\.json is no list .*no captions of 'a'"),
        ({"splits": {"train": 1}}, [{"captions": "text"}], r"000000\.json is no list .*no captions of 'a'"),
        ({"splits": {"train": 1}}, [{"name": "../../../a.mp4"}], r"leads outside"),
    ],
)
def test_damaged_lists_of_shards_are_named(
    tmp_path: Path, summary: object, listed: list[dict[str, object]], message: str
):
    entry = {"video_id": "a", "captions": ["x"], "start": 512, "size": 9, "name": "a.mp4"}
    (tmp_path / "packed.json").write_text(json.dumps(summary))
    touch(tmp_path, "train/000000.tar")
    (tmp_path / "train/000000.json").write_text(json.dumps({"videos": [entry | change for change in listed]}))
    with pytest.raises(DataError, match=message):
        load(f"shards:{tmp_path}", "train")


@pytest.mark.parametrize("size", ["2M", "10M"])
@pytest.mark.parametrize("folder", ["", "metadata"])
@pytest.mark.parametrize("page", ["", "p"])
def test_webvid_flat_and_by_page(tmp_path: Path, size: str, folder: str, page: str):
    (tmp_path / folder).mkdir(exist_ok=True)
    rows = "videoid,contentUrl,duration,page_dir,name\n1,u,d,p,one\n2,u,d,p,two\n"
    (tmp_path / folder / f"results_{size}_train.csv").write_text(rows)
    touch(tmp_path / "videos" / page, "1.mp4")
    (sample,) = load(f"webvid:{tmp_path}", "train").samples
    assert (sample.path, sample.captions) == (tmp_path / "videos" / page / "1.mp4", ("one",))


def test_didemo_takes_the_videos_of_the_list(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    entries = [{"video": f"v{i}.mov", "description": f"{i}"} for i in range(4)]
    (tmp_path / "test_data.json").write_text(json.dumps(entries))
    touch(tmp_path / "videos", *(f"v{i}.mp4" for i in range(4)))
    spec = f"didemo:{tmp_path}"
    assert len(shown(spec, "test")) == 4
    assert "no test_list.txt beside it, so all 4 videos are taken" in caplog.text
    (tmp_path / "test_list.txt").write_text("v3\nv1.mov\n")
    assert shown(spec, "test") == {"v1.mov": ("1",), "v3.mov": ("3",)}
    (tmp_path / "test_list.txt").write_text("v3\nv9\n")
    with pytest.raises(DataError, match=r"test_list\.txt: 1 of its videos are not in test_data\.json, such as 'v9'"):
        load(spec, "test")


def test_a_stray_quotation_mark_of_lsmdc(tmp_path: Path):
    clip = "10_Film_00.00.51.926-00.00.54.129"
    rows = [f'"{clip}\t1\t2\t3\t4\tHe says "go".', f'"{clip}\t1\t2\t3\t4\tHe ""runs""."']
    (tmp_path / "LSMDC16_annos_val.csv").write_text("\n".join(rows))
    touch(tmp_path / "videos", f"{clip}.avi")
    assert shown(f"lsmdc:{tmp_path}", "val") == {clip: ('He says "go".', 'He "runs".')}
