"""The command on a corpus with every kind of fault, and training that then leaves those videos out."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import override
from simvtp.data.corpora import skip_list
from simvtp.data.corpora.registry import load
from simvtp.data.resolve import resolved
from simvtp.errors import ConfigError, DataError


@pytest.fixture
def corpus(folder: Path, tmp_path: Path) -> Path:
    """Ten training videos: one missing, one cut off, one HTML page; and four good ones for test."""
    videos = sorted((folder / "msrvtt").rglob("*.mp4"))[:14]
    with (tmp_path / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("video", "caption", "split"))
        for number, video in enumerate(videos):
            name = f"v{number}.mp4"
            rows.writerow((name, f"caption, number {number}", "train" if number < 10 else "test"))
            if number != 3:
                (tmp_path / name).write_bytes(video.read_bytes())
    (tmp_path / "v5.mp4").write_bytes(videos[5].read_bytes()[:200])
    (tmp_path / "v7.mp4").write_text("<html>404</html>")
    return tmp_path / "list.csv"


def command(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simvtp.data.check", *words], capture_output=True, text=True, check=False, cwd=folder
    )


def test_deep_names_every_bad_file_and_training_skips_them(corpus: Path, tmp_path: Path) -> None:
    done = command(f"csv:{corpus}", "--deep", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["videos", "listed", "10", "4"] in lines
    assert ["of", "these", "missing", "1", "0"] in lines
    assert ["decoded", "whole", "9", "4"] in lines
    assert ["of", "these", "unreadable", "2", "0"] in lines
    bad = [line for line in done.stdout.splitlines() if line.startswith("unreadable: ")]
    assert [line.split()[1] for line in bad] == ["v5.mp4", "v7.mp4"]
    assert "nothing in split 'val'" in done.stderr
    with Image.open(tmp_path / "corpus.png") as sheet:
        assert sheet.height > 200

    spec, skip = f"csv:{corpus}", str(tmp_path / "unreadable.txt")
    assert {sample.video_id for sample in load(spec, "train", skip=skip).samples} == {
        f"v{n}.mp4" for n in (0, 1, 2, 4, 6, 8, 9)
    }
    assert len(load(spec, "test", skip=skip).samples) == 4


def test_missing_files_are_named_where_they_were_looked_for(corpus: Path, tmp_path: Path) -> None:
    done = command(f"csv:{corpus}", folder=tmp_path)
    assert f"missing from train: {tmp_path / 'v3.mp4'}" in done.stdout.splitlines()
    assert "missing from test" not in done.stdout
    for number in (1, 2, 4, 6):
        (tmp_path / f"v{number}.mp4").unlink()
    first = ", ".join(str(tmp_path / f"v{number}.mp4") for number in (1, 2, 3))
    assert f"missing from train: {first} and 2 more" in command(f"csv:{corpus}", folder=tmp_path).stdout.splitlines()


def test_a_corpus_without_any_file_is_an_error_and_has_no_picture(corpus: Path, tmp_path: Path) -> None:
    for video in tmp_path.glob("*.mp4"):
        video.unlink()
    done = command(f"csv:{corpus}", folder=tmp_path)
    assert done.returncode == 2
    assert f"error: csv:{corpus}: none of its videos is there" in done.stderr
    assert str(tmp_path / "v0.mp4") in done.stdout
    assert not (tmp_path / "corpus.png").exists()


def test_commands_on_corpora_start_without_torch() -> None:
    code = "import sys, simvtp.data.check, simvtp.data.prepare; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_quick_look_opens_a_part(corpus: Path, tmp_path: Path) -> None:
    done = command(f"csv:{corpus}", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "unreadable.txt").exists()
    assert ["opened", "9", "4"] in [line.split() for line in done.stdout.splitlines()]
    wrong = command("cvs:list.csv", folder=tmp_path)
    assert (wrong.returncode, "did you mean 'csv'" in wrong.stderr) == (2, True)


def test_nothing_is_skipped_in_evaluation(corpus: Path, tmp_path: Path) -> None:
    skip_list.write(tmp_path / "s.txt", "csv", [("v11.mp4", "bad luck"), ("v1.mp4", "why not")])
    skip = str(tmp_path / "s.txt")
    assert len(load(f"csv:{corpus}", "test", skip=skip).samples) == 4
    assert len(load(f"csv:{corpus}", "train", skip=skip).samples) == 8


def test_a_list_keeps_what_it_holds_of_other_corpora(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    skip_list.write(path, "webvid", [("a/b.mp4", "two\nlines\tand tabs")])
    skip_list.write(path, "csv", [("c.mp4", "x")])
    skip_list.write(path, "csv", [("d.mp4", "y")])
    assert path.read_text() == "webvid\ta/b.mp4\ttwo lines and tabs\ncsv\td.mp4\ty\n"
    assert (skip_list.skipped(str(path), "webvid"), skip_list.skipped(str(path), "csv")) == ({"a/b.mp4"}, {"d.mp4"})
    path.write_text("webvid a/b.mp4\n")
    with pytest.raises(DataError, match=r"s.txt, line 1: no tab"):
        skip_list.skipped(str(path), "webvid")


def test_ids_hang_on_what_is_skipped_and_not_on_why(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"

    def ids(*bad: tuple[str, str]) -> tuple[str, str | None]:
        skip_list.write(path, "csv", bad)
        config = resolved(override(preset("tiny"), {"data.skip": str(path)}))
        return run_id(config), pretrain_id(config)

    first = ids(("a.mp4", "one reason"), ("b.mp4", "x"))
    fixed = resolved(override(preset("tiny"), {"data.skip": str(path)}))
    assert ids(("b.mp4", "y"), ("a.mp4", "another")) == first
    assert all(mine != other for mine, other in zip(ids(("a.mp4", "")), first, strict=True))
    with pytest.raises(ConfigError, match=r"data.skip: what is in .*s.txt is not what was asked for"):
        resolved(fixed)
    path.unlink()
    assert (run_id(fixed), pretrain_id(fixed)) == first


def test_a_folder_in_place_of_a_corpus(corpus: Path, tmp_path: Path) -> None:
    """Every video below it, without annotations; other files are counted."""
    (corpus.parent / "deep").mkdir()
    (corpus.parent / "v0.mp4").rename(corpus.parent / "deep" / "v0.MP4")
    done = command(".", "--deep", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["videos", "listed", "13"] in lines
    assert ["of", "these", "unreadable", "2"] in lines
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("unreadable: ")] == [
        "v5.mp4",
        "v7.mp4",
    ]
    assert "1 files of . are not named as videos and are skipped: 1 of .csv" in done.stderr
    assert not (tmp_path / "unreadable.txt").exists()
    with Image.open(tmp_path / "corpus.png") as sheet:
        assert sheet.height > 200
    (tmp_path / "none").mkdir()
    assert "holds no video" in command("none", folder=tmp_path).stderr
