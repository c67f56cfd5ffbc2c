from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from simvtp.data.corpora import skip_list
from simvtp.data.corpora.registry import load, vocabulary
from simvtp.errors import DataError


def webvid(root: Path, rows: list[tuple[str, str, str]], header: str = "videoid,page_dir,name") -> str:
    root.mkdir(parents=True, exist_ok=True)
    lines = [header, *(",".join(row) for row in rows)]
    (root / "results_2M_train.csv").write_text("\n".join(lines) + "\n")
    (root / "results_2M_val.csv").write_text("\n".join(lines) + "\n")
    for video, page, _ in rows:
        if ".." not in page:
            (root / "videos" / page).mkdir(parents=True, exist_ok=True)
            (root / "videos" / page / f"{video}.mp4").touch()
    return f"webvid:{root}"


def msrvtt(root: Path, *, separator: str = ",") -> str:
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


def ids(spec: str, split: str) -> list[str]:
    return [sample.video_id for sample in load(spec, split).samples]


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


@pytest.mark.parametrize("separator", [",", ";"])
def test_msrvtt_splits(tmp_path: Path, separator: str, caplog: pytest.LogCaptureFixture):
    spec = msrvtt(tmp_path / "m", separator=separator)
    assert ids(spec, "train") == ["video1", "video2"]
    assert "1 of the 3 videos in MSRVTT_train.9k.csv are validation videos" in caplog.text
    assert ids(spec, "val") == ["video4"]
    assert load(spec, "train").samples[0].captions == ("caption 0 of 1", "caption 1 of 1")
    assert [(s.video_id, s.captions) for s in load(spec, "test").samples] == [("video6", ("six",)), ("video5", ("5",))]
    (tmp_path / "m/MSRVTT_train.9k.csv").unlink()
    assert ids(spec, "train") == ["video0", "video1", "video2", "video3"]


def test_msrvtt_never_trains_on_a_test_video(tmp_path: Path):
    spec = msrvtt(tmp_path / "m")
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
    spec = msrvtt(tmp_path / "m")
    path = tmp_path / "m/MSRVTT_data.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        load(spec, "train")
    path.write_text("{")
    with pytest.raises(DataError, match="not whole JSON"):
        load(spec, "train")


def test_tables_and_json_of_paths(tmp_path: Path):
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "t.tsv").write_text("text\tpath\tsplit\none\ta.mp4\ttrain\nuno\ta.mp4\ttrain\ntwo, 2\tb.mp4\ttest\n")
    spec = f"csv:{tmp_path}/t.tsv"
    assert load(spec, "train").samples[0].captions == ("one", "uno")
    assert load(spec, "test").samples[0].captions == ("two, 2",)
    with pytest.raises(DataError, match=r"nothing in split 'val'; there is test, train"):
        load(spec, "val")
    (tmp_path / "d.json").write_text(json.dumps({"a.mp4": "one", "c.mp4": "three"}))
    assert ids(f"json:{tmp_path}/d.json", "pretrain") == ["a.mp4", "c.mp4"]
    entries = [{"video": "a.mp4", "caption": ["x", "y"]}, {"video": "b.mp4", "caption": "z", "split": "val"}]
    (tmp_path / "l.json").write_text(json.dumps(entries))
    assert load(f"json:{tmp_path}/l.json", "train").samples[0].captions == ("x", "y")
    assert ids(f"json:{tmp_path}/l.json", "val") == ["b.mp4"]
    (tmp_path / "both.csv").write_text("video,caption,split\na.mp4,x,train\na.mp4,y,test\n")
    with pytest.raises(DataError, match=r"'a.mp4' is both in split 'train' and in split 'test'"):
        load(f"csv:{tmp_path}/both.csv", "train")
    (tmp_path / "none.csv").write_text("clip,words\na.mp4,x\n")
    with pytest.raises(DataError, match="no column named video or path or file"):
        load(f"csv:{tmp_path}/none.csv", "train")


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


def test_empty_captions_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    spec = webvid(tmp_path, [("7", "a", "a red ball"), ("8", "a", " "), ("9", "a", "")])
    assert ids(spec, "train") == ["7"]
    assert "2 empty captions are left out; 2 videos have no other" in caplog.text
    (tmp_path / "a.mp4").touch()
    (tmp_path / "t.json").write_text('[{"video": "a.mp4", "caption": ["x", " ", null, "y"]}]')
    assert load(f"json:{tmp_path}/t.json", "train").samples[0].captions == ("x", "y")
    assert "2 empty captions are left out; 0 videos" in caplog.text
    (tmp_path / "t.csv").write_text("video,caption\na.mp4,\na.mp4\na.mp4,x\n")
    assert load(f"csv:{tmp_path}/t.csv", "train").samples[0].captions == ("x",)


def test_lines_end_at_newlines_alone(tmp_path: Path):
    """Not at the other separators of Unicode, which captions may hold."""
    odd = "a\u2028b\x0bc\x0cd\x1ce\x85f"
    for name in ("a.mp4", "v\u2028w.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "t.csv").write_text(f"video,caption\na.mp4,{odd}\n")
    (tmp_path / "t.jsonl").write_text(json.dumps({"video": "a.mp4", "caption": odd}, ensure_ascii=False) + "\n\n")
    for spec in (f"csv:{tmp_path}/t.csv", f"json:{tmp_path}/t.jsonl"):
        assert load(spec, "train").samples[0].captions == ("a b c d e f",)
    skip_list.write(tmp_path / "s.txt", "csv", [("v\u2028w.mp4", "x"), ("two\nlines.mp4", "y")])
    assert skip_list.skipped(str(tmp_path / "s.txt"), "csv") == {"v\u2028w.mp4"}


def test_lists_of_paths_elsewhere(tmp_path: Path):
    """Absolute paths, paths above the list, and a folder that paths count from."""
    (tmp_path / "videos").mkdir()
    (tmp_path / "lists").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "videos" / name).touch()
    lists = tmp_path / "lists"
    files = [tmp_path / "videos" / name for name in ("a.mp4", "b.mp4")]
    (lists / "absolute.json").write_text(json.dumps({str(file): "x" for file in files}))
    (lists / "above.json").write_text(json.dumps({f"../videos/{file.name}": "x" for file in files}))
    (lists / "plain.json").write_text(json.dumps({file.name: "x" for file in files}))
    specs = [f"json:{lists}/absolute.json", f"json:{lists}/above.json", f"json:{lists}/plain.json?root=../videos",
             f"json:{lists}/plain.json?root={tmp_path}/videos"]  # fmt: skip
    for spec in specs:
        assert [sample.path.resolve() for sample in load(spec, "train").samples] == files
    assert ids(specs[2], "train") == ["a.mp4", "b.mp4"]
    assert ids(specs[0], "train") == [str(file).lstrip("/") for file in files]


def test_columns_and_splits_by_option(tmp_path: Path):
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "metadata.csv").write_text("file_name,text,split\na.mp4,x,train\nb.mp4,y,validation\n")
    assert ids(f"csv:{tmp_path}/metadata.csv", "val") == ["b.mp4"]
    (tmp_path / "train.csv").write_text("clip,words\na.mp4,x\n")
    (tmp_path / "test.csv").write_text("clip,words\nc.mp4,z\n")
    spec = f"csv:{tmp_path}/train.csv?video=clip&caption=words&test=test.csv"
    assert (ids(spec, "pretrain"), ids(spec, "test")) == (["a.mp4"], ["c.mp4"])
    (tmp_path / "l.jsonl").write_text('{"clip": "a.mp4", "words": ["x", "y"]}\n{"clip": "b.mp4", "words": "z"}\n')
    spec = f"json:{tmp_path}/l.jsonl?video=clip&caption=words"
    assert [sample.captions for sample in load(spec, "train").samples] == [("x", "y"), ("z",)]
    with pytest.raises(DataError, match=r"no option 'captoin=x'; csv takes .*did you mean 'caption'"):
        load(f"csv:{tmp_path}/train.csv?captoin=x", "train")
    with pytest.raises(DataError, match="no column named words"):
        load(f"csv:{tmp_path}/metadata.csv?caption=words", "train")


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


def test_a_name_of_300_bytes_is_a_missing_file(tmp_path: Path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "t.csv").write_text(f"video,caption\na.mp4,x\n{'v' * 300}.mp4,y\n{'d' * 300}/v.mp4,z\n")
    assert ids(f"csv:{tmp_path}/t.csv", "train") == ["a.mp4"]


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
