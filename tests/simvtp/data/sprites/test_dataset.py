from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simvtp.data.sprites import dataset
from simvtp.data.sprites.rendering import draw
from simvtp.data.sprites.scenes import Spec, plan
from simvtp.data.video.video import read

TINY = Spec(clips=12, pretrain_validation=2, finetune=4, validation=3, test=3, test_seen=2)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_layouts_are_as_published(folder: Path, spec: Spec):
    with (folder / "webvid/results_2M_train.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["videoid", "contentUrl", "duration", "page_dir", "name"]
    assert len(rows) == spec.clips
    assert all((folder / f"webvid/videos/{row['page_dir']}/{row['videoid']}.mp4").is_file() for row in rows)
    content = json.loads((folder / "msrvtt/MSRVTT_data.json").read_text())
    splits = [video["split"] for video in content["videos"]]
    assert {name: splits.count(name) for name in set(splits)} == {"train": 16, "validate": 8, "test": 16}
    assert len(content["sentences"]) == 16 * 5 + 8 + 8 + 8
    assert (folder / "msrvtt/MSRVTT_JSFUSION_test.csv").read_text().startswith("key,vid_key,video_id,sentence\nret0,")
    assert all((folder / f"msrvtt/videos/all/{v['video_id']}.mp4").is_file() for v in content["videos"])


def test_files_show_what_was_drawn(folder: Path, spec: Spec):
    for clip in plan(spec)["pretrain"][:10]:
        decoded = read(folder / clip.file, range(spec.frames))
        error = np.mean((decoded.astype(float) - draw(spec, clip)) ** 2)
        assert 10 * np.log10(255**2 / error) > 36  # dB


def test_a_whole_corpus_is_left_alone_and_a_second_one_is_equal(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    made = dataset.ensure(TINY, tmp_path / "a")
    times = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    capfd.readouterr()
    assert dataset.ensure(TINY, tmp_path / "a") == made
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*")} == times
    assert capfd.readouterr().err == ""
    assert contents(dataset.ensure(TINY, tmp_path / "b")) == contents(made)


def test_a_half_made_corpus_is_finished_and_only_what_lacks_is_rendered(tmp_path: Path):
    whole = dataset.ensure(TINY, tmp_path)
    before = contents(whole)
    videos = sorted((whole / "msrvtt/videos/all").iterdir())
    (whole / "manifest.json").unlink()
    videos[0].unlink()
    videos[1].write_bytes(b"")
    (videos[2].parent / f".{videos[2].name}.123").write_bytes(b"cut off")
    kept = videos[3].stat().st_mtime_ns
    assert contents(dataset.ensure(TINY, tmp_path)) == before
    assert videos[3].stat().st_mtime_ns == kept


def test_damage_is_noticed_by_size_and_by_sum(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    whole = dataset.ensure(TINY, tmp_path)
    before = contents(whole)
    videos = sorted((whole / "msrvtt/videos/all").iterdir())
    videos[0].write_bytes(videos[0].read_bytes()[:-100])
    (whole / "vocab.txt").unlink()
    caplog.clear()
    dataset.ensure(TINY, tmp_path)
    said = caplog.text
    assert "2 files" in said
    assert videos[0].name in said
    assert "vocab.txt" in said
    assert contents(whole) == before
    flipped = bytearray(videos[1].read_bytes())
    flipped[-1] ^= 255
    videos[1].write_bytes(flipped)
    dataset.ensure(TINY, tmp_path)
    assert contents(whole) != before  # the size is right
    dataset.ensure(TINY, tmp_path, verify=True)
    assert contents(whole) == before


def test_a_manifest_cut_in_half(tmp_path: Path):
    whole = dataset.ensure(TINY, tmp_path)
    before = contents(whole)
    (whole / "manifest.json").write_bytes(before["manifest.json"][:200])
    assert contents(dataset.ensure(TINY, tmp_path)) == before


def test_two_processes_make_it_once(tmp_path: Path):
    program = (
        "from simvtp.data.sprites import dataset; from simvtp.data.sprites.scenes import Spec\n"
        "import sys; from pathlib import Path; from simvtp.runtime.log import show_log; show_log()\n"
        f"dataset.ensure({TINY!r}, Path(sys.argv[1]))"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = "".join(process.communicate(timeout=60)[1] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert said.count("rendering clips: 26") == 1
    assert dataset._differing(dataset.folder_of(TINY, tmp_path), _manifest(tmp_path)) == []


def _manifest(root: Path) -> dataset.Manifest:
    manifest = dataset._read_manifest(dataset.folder_of(TINY, root))
    assert manifest is not None
    return manifest


def test_the_command_says_what_is_wrong():
    done = subprocess.run(
        [sys.executable, "-m", "simvtp.data.sprites.dataset", "--spec", "smal"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "did you mean 'small'" in done.stderr
    assert "Traceback" not in done.stderr
