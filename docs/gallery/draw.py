"""`python docs/gallery/draw.py`: the pictures of docs/gallery.md from committed results, and the page's list of them.

Each kind of figure is drawn of the sweep that fits it, so that other results need no other code.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

if __name__ == "__main__":  # run as a file: Python put docs/gallery/ on the path, not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from matplotlib.figure import Figure
from PIL import Image

from analysis.figures import ablation, corpus_curves, learning_curves, looks, pareto, search, style
from analysis.runs import journal
from analysis.runs.load import Collection, load
from analysis.stats.metric import R1, Metric
from analysis.stats.summary import Summary, summarise
from analysis.tables.markdown import fill_block

ROOT = Path(__file__).resolve().parents[2]
_WIDTHS = (480, 800)  # pixels, from a column to the page
_COLOURS = 128
BLOCK = "gallery"


@dataclass(frozen=True)
class Picture:
    """name: of the PNG; title: the heading above it; options: of analysis/plot.py that draw it so; draw: the figure,
    drawn in the look of `style_name`."""

    name: str
    title: str
    options: str
    style_name: str
    draw: Callable[[], Figure]


def pictures(results: Collection, logged: Collection | None) -> Iterator[Picture]:
    """What the folder has something to show for. logged: a folder with the logs of its runs, for learning curves."""
    all_of = [summarise(sweep, results) for sweep in results.sweeps]
    curves = _first(all_of, lambda one: ablation.is_curves(one) and len(one.sweep.axes) == 2)
    grid = _first(all_of, lambda one: ablation.is_grid(one) and not ablation.is_curves(one))
    corpora = _first(all_of, lambda one: corpus_curves.axis(one) is not None)
    toggles = _first(
        all_of,
        lambda one: not (ablation.is_curves(one) or ablation.is_grid(one) or corpus_curves.axis(one) is not None),
    )
    if curves:
        only = f"--only {curves.sweep.folder}"
        yield Picture("curves", "A setting from least to most", only, "default", partial(ablation.draw, curves))
        yield Picture("curves-cvpr", "The same for a column of CVPR", f"{only} --style cvpr", "cvpr",
                      partial(ablation.draw, curves))  # fmt: skip
        other = Metric("R@5", "video_to_text")
        again = summarise(curves.sweep, results, metric=other)
        yield Picture("curves-metric", "Another metric and direction, on a slide",
                      f"{only} --style slides --metric R@5 --direction video_to_text", "slides",
                      partial(ablation.draw, again))  # fmt: skip
    if grid:
        yield Picture("grid", "Two settings against each other", f"--only {grid.sweep.folder}", "default",
                      partial(ablation.draw, grid))  # fmt: skip
    if corpora:
        yield Picture("corpora", "A setting on several corpora", f"--only {corpora.sweep.folder}", "default",
                      partial(ablation.draw, corpora))  # fmt: skip
    if toggles:
        yield Picture("toggles", "Rows with their paired differences", f"--only {toggles.sweep.folder}", "default",
                      partial(ablation.draw, toggles))  # fmt: skip
    if priced := toggles or curves:
        yield Picture("cost", "What a run costs", f"--only {priced.sweep.folder} --style neurips", "neurips",
                      partial(pareto.draw, priced))  # fmt: skip
    for members in list(pareto.groups(all_of).values())[:1]:
        yield Picture("pareto", "All rows of a preset", "", "default", partial(pareto.overall, members))
    for name in results.searches[:1]:
        study = journal.read(results.folder / "sweeps" / name / "study.journal")
        yield Picture("search", "A search", f"--only {name}", "default", partial(search.history, study, name))
    if logged is not None:
        first = summarise(logged.sweeps[0], logged)
        yield Picture("learning", "Learning curves", f"--only {first.sweep.folder}", "default",
                      partial(_learning, first, logged.folder))  # fmt: skip


def _first(summaries: list[Summary], fits: Callable[[Summary], bool]) -> Summary | None:
    """Of those that fit, the one with the most seeds and rows."""
    fitting = [one for one in summaries if one.metric == R1 and len(one.finished_rows) > 2 and fits(one)]
    return max(fitting, key=lambda one: one.done, default=None)


def _learning(summary: Summary, folder: Path) -> Figure:
    figure = learning_curves.draw(summary, folder)
    if figure is None:
        raise SystemExit(f"{folder} holds no log.jsonl: name the results of a demo with --logs")
    return figure


def small_png(figure: Figure) -> bytes:
    """The picture in a palette, at the size of a page on the screen."""
    full = io.BytesIO()
    pixels = _WIDTHS[0 if figure.get_figwidth() < looks.Look.width / 2 else 1]
    figure.savefig(full, format="png", dpi=pixels / figure.get_figwidth(), metadata=style.METADATA["png"])
    made = io.BytesIO()
    Image.open(full).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(made, "png", optimize=True)
    return made.getvalue()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    folders = [ROOT / "results/reference", ROOT / "results/examples"]
    parser.add_argument("folders", type=Path, nargs="*", default=folders, help="the first figure of each kind is drawn")
    parser.add_argument("--logs", type=Path, metavar="RESULTS", help="a folder with logs, such as a demo's results/")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/gallery.md", help="the page; pictures go beside it")
    given = parser.parse_args(arguments)
    folder = given.page.parent / "gallery"
    folder.mkdir(exist_ok=True)
    parts, drawn = [], set[str]()
    logged = load(given.logs) if given.logs else None
    found = [(place, picture) for place in given.folders for picture in pictures(load(place), logged)]
    for place, picture in sorted(found, key=lambda one: one[1].name == "learning"):
        if picture.name in drawn:
            continue
        drawn.add(picture.name)
        style.apply(looks.of_style(picture.style_name))
        figure = picture.draw()
        caption = style.caption_of(figure)
        (folder / f"{picture.name}.png").write_bytes(small_png(figure))
        shown = "results/" if picture.name == "learning" else f"results/{place.name}"
        command = f"python analysis/plot.py {shown} {picture.options}".rstrip()
        parts.append(
            f"### {picture.title}\n\n`{command}`\n\n![{picture.title}](gallery/{picture.name}.png)\n\n{caption}"
        )
        print(folder / f"{picture.name}.png")
    page = fill_block(given.page.read_text(encoding="utf-8"), BLOCK, "\n" + "\n\n".join(parts) + "\n")
    given.page.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
