"""Lists of videos and captions: CSV, TSV, JSON, JSON lines, parquet; clips by start and end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from simvtp.data.corpora import skip_list
from simvtp.data.corpora.registry import load
from simvtp.errors import DataError
from tests.simvtp.data.corpora.trees import ids, shown, touch, webvid


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


def test_a_name_of_300_bytes_is_a_missing_file(tmp_path: Path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "t.csv").write_text(f"video,caption\na.mp4,x\n{'v' * 300}.mp4,y\n{'d' * 300}/v.mp4,z\n")
    assert ids(f"csv:{tmp_path}/t.csv", "train") == ["a.mp4"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_with_bom_quoted_newlines_and_any_delimiter(tmp_path: Path, delimiter: str):
    rows = [("name", "videoid", "page_dir"), (f'"two\nlines{delimiter} ""so"""', "1", "p"), ("plain", "2", "p")]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (tmp_path / "results_2M_train.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    touch(tmp_path / "videos/p", "1.mp4", "2.mp4")
    expected = " ".join(f'two lines{delimiter} "so"'.split())
    assert shown(f"webvid:{tmp_path}", "train") == {"1": (expected,), "2": ("plain",)}


def test_a_table_in_another_encoding_is_named(tmp_path: Path):
    (tmp_path / "t.csv").write_bytes("video,caption,é".encode("latin-1") + b"\na.mp4,x,y\n")
    with pytest.raises(DataError, match=r"t\.csv"):
        load(f"csv:{tmp_path}/t.csv", "train")


def test_lists_of_vindlu_and_umt(tmp_path: Path):
    train = [{"video": "video1.mp4", "caption": ["x", "y"]}, {"video": "video2.mp4", "caption": "z"}]
    (tmp_path / "msrvtt_ret_train9k.json").write_text(json.dumps(train))
    (tmp_path / "msrvtt_ret_test1k.json").write_text(json.dumps([{"video": "video7.mp4", "caption": "t"}]))
    touch(tmp_path / "videos", "video1.mp4", "video2.mp4", "video7.mp4")
    spec = f"json:{tmp_path}/msrvtt_ret_train9k.json?test=msrvtt_ret_test1k.json&root=videos"
    assert shown(spec, "train") == {"video1.mp4": ("x", "y"), "video2.mp4": ("z",)}
    assert shown(spec, "test") == {"video7.mp4": ("t",)}


CLIPS = {"aa/0.733-2.000s": ("one",), "aa/2.000-3.500s": ("two", "zwei"), "bb/60.000-61.000s": ("three",)}


def test_clips_as_internvid_lists_them(tmp_path: Path):
    rows = [("aa", "00:00:00.733", "00:00:02.000", "one"), ("aa", "00:00:02.000", "00:00:03.500", "two"),
            ("bb", "01:00", "61", "three"), ("aa", "2", "3.5", "zwei")]  # fmt: skip
    touch(tmp_path / "videos", "aa.webm", "bb.mp4")
    names = ("YoutubeID", "Start_timestamp", "End_timestamp", "Caption")
    lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    (tmp_path / "list.csv").write_text("\n".join(",".join(row) for row in [names, *rows]))
    options = "root=videos&start=Start_timestamp&end=End_timestamp"
    for spec in (f"json:{tmp_path}/list.jsonl?{options}", f"csv:{tmp_path}/list.csv?{options}"):
        assert shown(spec, "train") == CLIPS
        assert load(spec, "train").samples[0].path == tmp_path / "videos/aa.webm/0.733-2.000s"


def test_clips_as_panda_70m_and_howto100m_list_them(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    touch(tmp_path / "videos", "aa.mp4", "bb.mp4")
    head = "url,videoID,timestamp,caption,matching_score\n"
    rows = [
        """u,aa,"[['0:00:00.733', '0:00:02.000'], ['0:00:02.000', '0:00:03.500']]","['one', ['two', 'zwei']]",[0.4]""",
        """u,bb,"[['0:01:00.000', '0:01:01.000']]","['three']",[0.4]""",
    ]
    (tmp_path / "panda.csv").write_text(head + "\n".join(rows))
    assert shown(f"csv:{tmp_path}/panda.csv?root=videos&times=timestamp", "train") == CLIPS
    assert caplog.text == ""
    assert list(shown(f"csv:{tmp_path}/panda.csv?root=videos", "train")) == ["aa", "bb"]
    assert "whole videos are read, not clips by timestamp" in caplog.text
    content = {
        "aa": {"start": [0.733, 2], "end": [2, 3.5], "text": ["one", ["two", "zwei"]]},
        "bb": {"start": [60], "end": [61], "text": ["three"]},
    }
    (tmp_path / "howto.json").write_text(json.dumps(content))
    assert shown(f"json:{tmp_path}/howto.json?root={tmp_path}/videos", "train") == CLIPS


@pytest.mark.parametrize(
    ("columns", "row", "options", "message"),
    [
        ("video,s,e,caption", "a,2,1,x", "start=s&end=e", r"row 0: the clip from '2' to '1' ends before it begins"),
        ("video,s,e,caption", "a,1:x,2,x", "start=s&end=e", r"row 0: '1:x' is no time"),
        ("video,s,e,caption", "a,-1,2,x", "start=s&end=e", r"row 0: '-1' is no time"),
        ("video,s,e,caption", "a,nan,2,x", "start=s&end=e", r"row 0: 'nan' is no time"),
        ("video,s,e,caption", "a,1,2,x", "start=s", "start=NAME&end=NAME, both"),
        ("video,s,e,caption", "a,1,2,x", "start=s&end=e&times=s", "or .times=NAME alone"),
        ("video,t,caption", 'a,"[[1,2],[3,4]]",["x"]', "times=t", "2 times and 1 captions"),
        ("video,t,caption", 'a,"[[1,2,3]]",["x"]', "times=t", r"\[1, 2, 3\] is no pair of times"),
        ("video,t,caption", "a,__import__('os'),['x']", "times=t", "a list is expected"),
    ],
)
def test_bad_times_are_named(tmp_path: Path, columns: str, row: str, options: str, message: str):
    (tmp_path / "t.csv").write_text(f"{columns}\n{row}\n")
    with pytest.raises(DataError, match=message):
        load(f"csv:{tmp_path}/t.csv?{options}", "train")


def test_parquet_lists(tmp_path: Path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (pip install 'simvtp[parquet]')")
    parquet = pytest.importorskip("pyarrow.parquet")
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    rows = {"file_name": ["a.mp4", "b.mp4", "c.mp4"], "text": [["x", "y"], ["z"], ["w"]],
            "split": ["train", "train", "validation"], "s": [0.5, 1.0, 2.0], "e": [1.0, 1.5, 2.25]}  # fmt: skip
    parquet.write_table(pyarrow.table(rows), tmp_path / "t.parquet")
    spec = f"parquet:{tmp_path}/t.parquet"
    assert shown(spec, "train") == {"a.mp4": ("x", "y"), "b.mp4": ("z",)}
    assert ids(f"{spec}?start=s&end=e", "val") == ["c.mp4/2.000-2.250s"]
    (tmp_path / "u.parquet").write_text("no parquet")
    with pytest.raises(DataError, match=r"u\.parquet cannot be read as parquet"):
        load(f"parquet:{tmp_path}/u.parquet", "train")


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match=r"pip install 'simvtp\[parquet\]'"):
        load(f"parquet:{tmp_path}/t.parquet", "train")


def test_labels(tmp_path: Path):
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "t.csv").write_text("video,caption,kind\na.mp4,x,Food\na.mp4,y,Food\nb.mp4,z,\n")
    spec = f"csv:{tmp_path}/t.csv?label=kind"
    assert [(sample.video_id, sample.label) for sample in load(spec, "train").samples] == [
        ("a.mp4", "Food"),
        ("b.mp4", ""),
    ]
    (tmp_path / "t.csv").write_text("video,caption,kind\na.mp4,x,Food\na.mp4,y,Sports\n")
    with pytest.raises(DataError, match=r"'a\.mp4' has another label here, 'Sports'"):
        load(spec, "train")
