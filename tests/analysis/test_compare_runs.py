"""Two runs against each other: the numbers of one hand-made pair, and what cannot be paired."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from analysis import compare
from analysis.runs.schema import read_run
from analysis.stats.intervals import interval
from tests.analysis.folders import Builder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Builder(tmp_path).sweep("objectives")
    return tmp_path


def ids(folder: Path) -> list[str]:
    sweep = json.loads((folder / "sweeps" / "objectives-tiny" / "sweep.json").read_text())
    return [run["run"] for run in sweep["runs"]]


def test_the_difference_is_paired_by_query(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = ids(folder)[0], ids(folder)[-1]
    assert compare.main([first[:8], str(folder / "runs" / second), "--results", str(folder)]) == 0
    said = capsys.readouterr().out
    a, b = (read_run(folder / "runs" / run / "result.json") for run in (first, second))
    gap = b.hits() - a.hits()
    half = 1.96 * gap.std() / math.sqrt(len(gap))
    line = next(line for line in said.splitlines() if "R@1 text to video" in line)
    cell = line.split("│")[-2].strip()
    mean, low, high = (float(word.strip("[],")) for word in cell.split())
    assert mean == pytest.approx(gap.mean(), abs=0.06)
    assert (low, high) == pytest.approx((gap.mean() - half, gap.mean() + half), abs=0.3)
    assert "nothing of other seeds" in " ".join(said.split())


def test_what_cannot_be_paired_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = ids(folder)[0], ids(folder)[-1]
    assert compare.main([first, "zzz", "--results", str(folder)]) == 2
    assert "zzz: no such finished run" in capsys.readouterr().err
    path = folder / "runs" / second / "result.json"
    content = json.loads(path.read_text())
    content["corpus"]["test"] = "t2"
    path.write_text(json.dumps(content))
    assert compare.main([first, second, "--results", str(folder)]) == 2
    assert "different corpora" in capsys.readouterr().err
    content["corpus"]["test"] = "sprites:tiny"
    content["owners"] = list(range(len(content["ranks"]["test"]["text_to_video"])))
    path.write_text(json.dumps(content))
    assert compare.main([first, second, "--results", str(folder)]) == 2
    assert "group their queries by video" in capsys.readouterr().err
    path.write_text("{")
    assert compare.main([first, second, "--results", str(folder)]) == 2
    assert "result.json" in capsys.readouterr().err


def test_captions_of_one_video_are_one_value(folder: Path) -> None:
    """Three captions a video that are found or missed together say no more than one."""
    path = folder / "runs" / ids(folder)[0] / "result.json"
    content = json.loads(path.read_text())
    one = read_run(path)
    content["ranks"]["test"]["text_to_video"] = np.repeat(one.ranks["text_to_video"], 3).tolist()
    path.write_text(json.dumps(content))
    apart = interval(read_run(path).hits()[None])
    content["owners"] = np.repeat(np.arange(len(one.ranks["text_to_video"])), 3).tolist()
    path.write_text(json.dumps(content))
    together, plain = interval(read_run(path).hits()[None]), interval(one.hits()[None])
    assert (together.mean, together.low, together.high) == pytest.approx((plain.mean, plain.low, plain.high), abs=1e-3)
    assert apart.half < 0.7 * together.half
    content["owners"][0] = 999
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="owners do not name one of"):
        read_run(path)
