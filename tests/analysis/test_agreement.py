"""Tables against numbers computed from the result.json files alone, and against each other; bytes against the order."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis import plot, table
from analysis.figures import ablation, pareto
from analysis.runs.load import load
from analysis.stats.summary import summarise
from tests.analysis import folders
from tests.analysis.folders import Builder, write

ROOT = Path(__file__).resolve().parents[2]
WAYS = ("text_to_video", "video_to_text")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("results")
    Builder(made).sweep("mask_ratio", seeds=(0, 1, 2), unfinished=[(1, 2)])
    assert table.main([str(made)]) == 0
    return made


def ranks(folder: Path, point: int, way: str) -> dict[int, np.ndarray]:
    runs = json.loads((folder / "sweeps/mask_ratio-tiny/sweep.json").read_text())["runs"]
    paths = {run["seed"]: folder / "runs" / run["run"] / "result.json" for run in runs if run["point"] == point}
    return {s: np.array(json.loads(p.read_text())["ranks"]["test"][way]) for s, p in paths.items() if p.exists()}


def half_width(values: np.ndarray) -> float:
    """Of 0 or 100 [S, Q], from the formula at the head of analysis/stats/intervals.py, by covariances of the
    queries."""
    seeds, queries = values.shape
    covariance = np.cov(values, bias=True) / queries  # [S, S]: of the seeds' scores over resampled queries
    own = values.mean(1).var(ddof=1) / seeds
    shared = max(0.0, (covariance.sum() - np.trace(covariance)) / (seeds * (seeds - 1)))
    t, z = stats.t.ppf(0.975, seeds - 1), stats.norm.ppf(0.975)
    return float(max(np.sqrt(t**2 * own + z**2 * shared), z * np.sqrt(covariance.sum() / seeds**2)))


def expected(folder: Path, point: int, base: int) -> list[str]:
    """n, R@1 with interval, R@5, R@10, MdR there and back, and the difference to the base."""
    cells = [str(len(ranks(folder, point, WAYS[0])))]
    for way in WAYS:
        by_seed = np.stack(list(ranks(folder, point, way).values()))
        hits = 100.0 * (by_seed <= 1)
        low, high = max(0, hits.mean() - half_width(hits)), min(100, hits.mean() + half_width(hits))
        cells.append(f"{hits.mean():.1f} ± {(high - low) / 2:.1f}")
        cells += [f"{100 * (by_seed <= k).mean():.1f}" for k in (5, 10)]
        cells.append(f"{np.median(by_seed, axis=1).mean():.1f}")
    if point == base:
        return [*cells, "base"]
    mine, theirs = ranks(folder, point, WAYS[0]), ranks(folder, base, WAYS[0])
    gaps = np.stack([100.0 * (mine[s] <= 1) - 100.0 * (theirs[s] <= 1) for s in mine if s in theirs])
    half = half_width(gaps)
    return [*cells, f"{gaps.mean():+.1f} [{gaps.mean() - half:+.1f}, {gaps.mean() + half:+.1f}]"]


def rows(folder: Path, ending: str) -> list[list[str]]:
    """Cells of the body of a table, without marks."""
    text = (folder / f"tables/mask_ratio-tiny.{ending}").read_text()
    if ending == "md":
        lines = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
        return [[cell.strip("*_") for cell in line] for line in lines]
    body = text.split("\\midrule\n")[1].split("\n\\bottomrule")[0]
    plain = re.sub(r"\\(?:textbf|underline)\{([^}]*)\}", r"\1", body.replace(r"$^\dagger$", ""))
    for tex, sign in ((r"$\pm$", "±"), ("$-$", "-"), (r"\%", "%"), (r" \\", "")):
        plain = plain.replace(tex, sign)
    return [line.split(" & ") for line in plain.splitlines()]


def test_every_form_of_the_table_says_what_the_ranks_give(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = [expected(folder, point, base=2) for point in range(7)]
    assert [cells[1:11] for cells in rows(folder, "md")] == wanted
    assert [cells[1:11] for cells in rows(folder, "tex")] == wanted
    with (folder / "tables/mask_ratio-tiny.csv").open() as file:
        raw = list(csv.DictReader(file))
    for row, cells in zip(raw, wanted, strict=True):
        numbers = [f"{float(row[f'{way}.{name}']):.1f}" for way in WAYS for name in ("R@1", "R@5", "R@10", "MdR")]
        assert numbers == [cell.split(" ")[0] for cell in cells[1:9]]
        gap = [row[f"difference.{name}"] for name in ("mean", "low", "high")]
        assert cells[9] == ("base" if not gap[0] else "{:+.1f} [{:+.1f}, {:+.1f}]".format(*map(float, gap)))
    capsys.readouterr()
    assert table.main([str(folder), "--output", str(folder / "again")]) == 0
    screen = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in screen.splitlines() if line.startswith("│")]
    for line, cells in zip(lines, wanted, strict=True):
        shown = [cell for cell in line[1:] if cell]
        assert shown[:3] == cells[:3]  # what fits a narrow screen begins with n, R@1, R@5
        assert cells[9] in shown


def digests(folder: Path) -> dict[str, str]:
    kept = [path for name in ("tables", "figures", "report.html") for path in sorted((folder / name).rglob("*"))]
    kept += [folder / "report.html"]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in kept if p.is_file()}


def test_neither_the_order_of_files_nor_clock_nor_language_changes_a_byte(folder: Path, tmp_path: Path) -> None:
    """The same runs, written backwards into a folder of the same name and read under another environment."""
    other = tmp_path / folder.name
    for path in sorted(folder.rglob("*.json"), reverse=True):
        content = json.loads(path.read_text())
        write(other / path.relative_to(folder), dict(reversed(content.items())))
    plain = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "1"}
    strange = {**os.environ, "TZ": "Asia/Kathmandu", "LC_ALL": "C", "LANG": "de_DE", "PYTHONHASHSEED": "2"}
    for place, environment in ((folder, plain), (other, strange)):
        for name in ("table", "plot", "report"):
            subprocess.run(
                [sys.executable, ROOT / f"analysis/{name}.py", place], check=True, env=environment, cwd=ROOT,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
    first = digests(folder)
    assert {Path(name).suffix for name in first} == {".md", ".tex", ".csv", ".png", ".pdf", ".svg", ".txt", ".html"}
    assert digests(other) == first


def test_many_rows_keep_their_figures_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of forty rows the legend names what stands out, and the axis has room for its numbers."""
    points: folders.Points = [("base", {}, 20.0)]
    points += [(f"weight {k}", {"objective.mvm": 1 + k / 40}, 15.0 + k / 10) for k in range(1, 40)]
    monkeypatch.setitem(folders.SWEEPS, "mask_ratio", points)
    monkeypatch.setitem(folders.AXES, "mask_ratio", ["objective.mvm"])
    Builder(tmp_path, queries=50).sweep("mask_ratio")
    results = load(tmp_path)
    summary = summarise(results.sweeps[0], results)
    crowd = pareto.draw(summary)
    crowd.canvas.draw()
    assert len(crowd.legends[0].get_texts()) <= 3
    inside = crowd.bbox
    box = crowd.legends[0].get_window_extent()
    assert inside.y0 <= box.y0
    assert box.y1 <= inside.y1
    curves = ablation.draw(summary)
    curves.canvas.draw()
    boxes = [label.get_window_extent() for label in curves.axes[1].get_xticklabels() if label.get_text()]
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))
    assert plot.main([str(tmp_path), "--format", "png"]) == 0
