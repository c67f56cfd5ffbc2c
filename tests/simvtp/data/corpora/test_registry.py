from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from simvtp.data.corpora.registry import load, vocabulary
from simvtp.errors import DataError
from tests.simvtp.data.corpora.trees import webvid


def test_the_embedded_corpus_reads_back(corpus_name: str, folder: Path):
    counts = {s: len(load(corpus_name, s).samples) for s in ("pretrain", "train", "val", "test", "test_seen")}
    assert counts == {"pretrain": 40, "train": 16, "val": 8, "test": 8, "test_seen": 8}
    assert all(len(sample.captions) == 5 for sample in load(corpus_name, "train").samples)
    shown = [{s.video_id for s in load(corpus_name, name).samples} for name in ("train", "val", "test", "test_seen")]
    assert len(set.union(*shown)) == 16 + 8 + 8 + 8
    assert vocabulary(corpus_name) == folder / "vocab.txt"
    assert load(f"webvid:{folder}/webvid", "pretrain").fingerprint == load(corpus_name, "pretrain").fingerprint


def test_webvid_columns_in_any_order_and_missing_files(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    spec = webvid(tmp_path, [("7", "a", "a red  ball"), ("8", "b", "two balls"), ("9", "b", "none")])
    text = (tmp_path / "results_2M_train.csv").read_text().splitlines()
    (tmp_path / "results_2M_train.csv").write_text("\n".join(",".join(reversed(row.split(","))) for row in text))
    (tmp_path / "videos/b/9.mp4").unlink()
    corpus = load(spec, "train")
    assert [(s.video_id, s.captions) for s in corpus.samples] == [("7", ("a red ball",)), ("8", ("two balls",))]
    assert corpus.samples[1].path == tmp_path / "videos/b/8.mp4"
    assert "1 of 3 videos have no file" in caplog.text
    with pytest.raises(DataError, match=r"1 of 3 videos are missing: .*b/9\.mp4"):
        load(spec, "val")
    with pytest.raises(DataError, match="for retrieval use msrvtt"):
        load(spec, "test")


@pytest.mark.parametrize("page", ["../..", "a/../../..", "/etc"])
def test_a_path_out_of_the_corpus_is_refused(tmp_path: Path, page: str):
    spec = webvid(tmp_path / "corpus", [("7", "a", "fine")])
    with (tmp_path / "corpus/results_2M_train.csv").open("a") as file:
        file.write(f"passwd,{page},bad\n")
    with pytest.raises(DataError, match="leads outside"):
        load(spec, "train")


def test_links_on_the_disk_are_followed(tmp_path: Path):
    """The owner of the disk made them (a download cache, a folder elsewhere); no annotation can."""
    spec = webvid(tmp_path / "corpus", [("7", "a", "fine"), ("8", "b", "too")])
    (tmp_path / "corpus/videos/a").rename(tmp_path / "elsewhere")
    (tmp_path / "corpus/videos/a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "corpus/videos/b/8.mp4").rename(tmp_path / "8.bin")
    (tmp_path / "corpus/videos/b/8.mp4").symlink_to(tmp_path / "8.bin")
    assert [sample.video_id for sample in load(spec, "train").samples] == ["7", "8"]


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("videoid,page_dir,nam", [("1", "a", "x")], "no column 'name'.*did you mean 'nam'"),
        ("videoid,page_dir,name", [(" ", "a", "x")], "train.csv, line 2: the field 'videoid' is empty"),
        ("videoid,page_dir,name", [("1", "a", "x"), ("1", "a", "y")], "'1' is listed twice"),
    ],
)
def test_bad_webvid_annotations(tmp_path: Path, header: str, rows: list[tuple[str, str, str]], message: str):
    with pytest.raises(DataError, match=message):
        load(webvid(tmp_path, rows, header), "train")


@pytest.mark.parametrize(
    ("spec", "split", "message"),
    [
        ("webvid:/nowhere/at/all", "train", "/nowhere/at/all does not exist.*sprites:tiny"),
        ("webvd:x", "train", "did you mean 'webvid'"),
        ("tiny", "train", "write kind:place"),
        ("sprites:tiny", "validation", "no split 'validation'; it has pretrain, train, val, test, test_seen"),
    ],
)
def test_unknown_corpora(spec: str, split: str, message: str):
    with pytest.raises(DataError, match=message):
        load(spec, split)


def test_an_annotation_file_without_videos(tmp_path: Path):
    spec = webvid(tmp_path, [("7", "a", "fine")])
    (tmp_path / "videos/a/7.mp4").unlink()
    with pytest.raises(DataError, match=r"no videos below .*videos/a/7\.mp4.*sprites:tiny"):
        load(spec, "train")


def test_fractions_are_nested_and_of_the_right_size(tmp_path: Path):
    whole = load(webvid(tmp_path, [(str(i), "a", f"caption {i}") for i in range(2000)]), "train")
    shares = {share: {s.video_id for s in whole.fraction(share, 3).samples} for share in (0.1, 0.25, 0.5)}
    assert shares[0.1] < shares[0.25] < shares[0.5]
    for share, kept in shares.items():
        assert abs(len(kept) - share * 2000) < 4 * (2000 * share * (1 - share)) ** 0.5
    assert shares[0.5] != {s.video_id for s in whole.fraction(0.5, 4).samples}
    assert whole.fraction(1.0, 3) is whole
    assert whole.fraction(0.5, 3).fraction(0.5, 3).whole is whole


def test_fingerprints_follow_ids_and_captions_but_not_place_or_order(tmp_path: Path):
    rows = [("1", "a", "x"), ("2", "a", "y")]
    prints = [
        load(webvid(tmp_path / str(i), changed), "train").fingerprint
        for i, changed in enumerate([rows, rows[::-1], [("1", "a", "x"), ("2", "a", "z")], [("1", "a", "x")]])
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    assert len(prints[0]) == 12


@pytest.mark.parametrize("identity", ["/../../x", "../x", "/x", "a/../../x"])
def test_an_id_that_leads_elsewhere_is_refused(tmp_path: Path, identity: str):
    (tmp_path / "packed.json").write_text('{"splits": {"train": 1}}')
    (tmp_path / "train").mkdir()
    entry = {"video_id": identity, "captions": ["x"], "start": 512, "size": 9, "name": "a.mp4"}
    (tmp_path / "train/000000.json").write_text(json.dumps({"videos": [entry]}))
    with pytest.raises(DataError, match=r"the video id .*x' is a path that leads elsewhere"):
        load(f"shards:{tmp_path}", "train")


def test_places_of_the_wrong_kind(tmp_path: Path):
    (tmp_path / "t.csv").write_text("video,caption\n")
    with pytest.raises(DataError, match=r"t\.csv is a file; msrvtt: takes the folder"):
        load(f"msrvtt:{tmp_path}/t.csv", "train")
    with pytest.raises(DataError, match="is a folder; csv: takes the file"):
        load(f"csv:{tmp_path}", "train")
    with pytest.raises(DataError, match="no-such-user"):
        load("webvid:~no-such-user/x", "train")
    with pytest.raises(DataError, match="cannot be read"):
        load(f"webvid:{tmp_path}/{'x' * 300}", "train")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX users")
def test_a_folder_that_may_not_be_entered_is_named(tmp_path: Path):
    spec = webvid(tmp_path, [("7", "a", "fine")])
    folder = tmp_path / "videos" / "a"
    temporary = Path(tempfile.gettempdir()).resolve()
    for parent in (tmp_path, *tmp_path.parents):
        if os.geteuid() == 0 and temporary in parent.parents:  # pytest makes them for root alone
            parent.chmod(0o755)
    folder.chmod(0o000)
    user = os.geteuid()
    try:
        if user == 0:  # root may enter every folder
            os.seteuid(65534)
        with pytest.raises(DataError, match=r"the folder .*videos/a cannot be read \(Permission denied\)"):
            load(spec, "train")
    finally:
        os.seteuid(user)
        folder.chmod(0o755)
