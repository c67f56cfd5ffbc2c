"""Masked clips and captions as a model rebuilds them: what analysis/reconstruct.py does once its options are read."""

from __future__ import annotations

import argparse
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnchoredOffsetbox, HPacker, TextArea, VPacker
from PIL import Image

from analysis import cli
from analysis.figures import style
from analysis.runs.text import file_name, one_line
from simvtp.config.experiment import Experiment, read_config
from simvtp.config.plugins.loading import load_plugins
from simvtp.config.run_dirs import RUNS, folder_of
from simvtp.config.schema import Config, override
from simvtp.data.from_config import tokenizer_of
from simvtp.errors import DataError
from simvtp.evaluation.encode import gallery
from simvtp.inference.reconstruct import Reconstruction, Word, reconstruct
from simvtp.models.build import fresh_model
from simvtp.training.checkpoint import load_weights

RATIOS = (0.5, 0.75, 0.9, 0.95)
COLUMNS = 8  # frames of a clip that are shown
LINE = 105  # characters of a caption on one line

Rebuilt = Mapping[float, Reconstruction]


class NothingToShow(DataError):
    """There is no such run, or it has no pre-trained weights; the message says what to do."""


def rebuild(run: Path, split: str, clips: int, ratios: Sequence[float]) -> dict[str, Rebuilt]:
    """video id -> ratio -> reconstruction, for the first `clips` videos of a split. Raises DataError."""
    config, _ = read_config(run)
    stage = Experiment(config, "", run.parent.parent).pretrain_dir
    if stage is None:
        raise NothingToShow(f"{run} has no pre-training, so there is nothing that it could reconstruct")
    if not (stage / "weights.safetensors").is_file():
        raise NothingToShow(f"{stage}/weights.safetensors is not there; `python -m simvtp.run` with the run's config")
    if not (config.objective.mvm or config.objective.mlm):
        raise NothingToShow(f"{run} was trained with neither MVM nor MLM: it has no head that reconstructs")
    return _rebuild(config, stage, split, clips, ratios)


def _rebuild(config: Config, stage: Path, split: str, clips: int, ratios: Sequence[float]) -> dict[str, Rebuilt]:
    tokenizer = tokenizer_of(config)
    model = fresh_model(config, tokenizer)
    load_weights(model, stage / "weights.safetensors")
    loader = gallery(config, tokenizer, split, views=False)
    videos = next(loader.videos(range(min(clips, len(loader.corpus.samples)))))[:, 0]
    captions = [loader.captions()[loader.owner.index(row)] for row in range(len(videos))]
    rebuilt: dict[str, dict[float, Reconstruction]] = {}
    for ratio in ratios:
        changed = override(config, {"mask.video": ratio})
        for row, made in enumerate(reconstruct(model, changed, tokenizer, videos, captions)):
            rebuilt.setdefault(loader.corpus.samples[row].video_id, {})[ratio] = made
    return dict(rebuilt)


def draw(rebuilt: Rebuilt, title: str) -> Figure:
    """Original, then masked and rebuilt frames and the filled-in caption of each ratio, down the page."""
    first = next(iter(rebuilt.values()))
    frames = np.linspace(0, len(first.original) - 1, min(COLUMNS, len(first.original))).round().astype(int)
    lines = len(_lines(first.words))
    block = [1.0, 1.0, 0.2 + 0.24 * lines] if first.rebuilt is not None else [1.0, 0.2 + 0.24 * lines]
    heights = [1.0, 0.2 + 0.24 * lines, *block * len(rebuilt)]
    figure = plt.figure(figsize=(style.look().width, 0.8 + 0.72 * sum(heights)))
    grid = figure.add_gridspec(
        len(heights), len(frames), height_ratios=heights, wspace=0.04, hspace=0.06, left=0.13, right=0.99,
        top=1 - 0.42 / figure.get_figheight(), bottom=0.3 / figure.get_figheight(),
    )  # fmt: skip
    figure.suptitle(title, x=0.01, ha="left", y=1 - 0.08 / figure.get_figheight())
    rows = iter(range(len(heights)))

    def strip(pictures: np.ndarray, label: str) -> None:
        row = next(rows)
        for column, frame in enumerate(frames):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(pictures[frame], interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.grid(visible=False)
            for spine in axes.spines.values():
                spine.set_visible(False)
            if column == 0:
                axes.set_ylabel(label, rotation=0, ha="right", va="center")

    strip(first.original, "original")
    _draw_caption([Word(word.true, None) for word in first.words], figure.add_subplot(grid[next(rows), :]))
    for ratio, made in rebuilt.items():
        strip(made.masked, f"{ratio:.0%} masked")
        if made.rebuilt is not None:
            strip(made.rebuilt, "rebuilt" if made.error is None else f"rebuilt\nerror {made.error:.2f}")
        _draw_caption(made.words, figure.add_subplot(grid[next(rows), :]))
    note = (
        "Mean and contrast of each rebuilt tube are the true ones (the model predicts normalised pixels; guessing the "
    )
    note += "mean has error 1). Masked words:\n_word_ where the model is right, ~guess(truth) where it is wrong."
    figure.text(0.01, 0.04 / figure.get_figheight(), note, fontsize=6, color="0.3", va="bottom")
    return figure


def _lines(words: Sequence[Word]) -> list[list[Word]]:
    lines: list[list[Word]] = [[]]
    length = 0
    for word in words:
        length += len(_marked(word)) + 1
        if length > LINE:
            lines.append([])
            length = len(_marked(word)) + 1
        lines[-1].append(word)
    return lines


def _marked(word: Word) -> str:
    if word.guess is None or word.guess == word.true:
        return word.true
    return f"~{word.guess}({word.true})"


def _draw_caption(words: Sequence[Word], axes: Axes) -> None:
    """The caption, each masked word marked by what the model made of it."""
    axes.set_axis_off()
    lines: list[Artist] = []
    for line in _lines(words):
        parts: list[Artist] = []
        for word in line:
            right = word.guess == word.true
            colour = "black" if word.guess is None else style.GREEN if right else style.RED
            looks = {"color": colour, "fontsize": 6.5, "fontweight": "bold" if right else "normal"}
            text = f"_{word.true}_" if right else _marked(word)
            parts.append(TextArea(text, textprops=looks))
        lines.append(HPacker(children=parts, pad=0, sep=3, align="baseline"))
    box = VPacker(children=lines, pad=0, sep=2, align="left")
    axes.add_artist(AnchoredOffsetbox("upper left", child=box, frameon=False, pad=0.1, borderpad=0))


def animate(rebuilt: Rebuilt, scale: int) -> bytes:
    """A GIF, frame after frame: original, then masked above rebuilt for each ratio, from left to right."""
    first = next(iter(rebuilt.values()))
    pages = []
    for frame in range(len(first.original)):
        empty = np.full_like(first.original[frame], 255)
        columns = [np.concatenate((first.original[frame], empty))]
        for made in rebuilt.values():
            below = empty if made.rebuilt is None else made.rebuilt[frame]
            columns.append(np.concatenate((made.masked[frame], below)))
        page = np.concatenate(columns, axis=1).repeat(scale, axis=0).repeat(scale, axis=1)
        pages.append(Image.fromarray(page))
    content = io.BytesIO()
    pages[0].save(content, format="GIF", save_all=True, append_images=pages[1:], duration=250, loop=0)
    return content.getvalue()


def _folder_of(run: str, results: Path) -> Path:
    return Path(run) if "/" in run or Path(run).is_dir() else folder_of(results, RUNS, run)


def write_pictures(chosen: argparse.Namespace) -> int:
    """Write the PNG and the GIF of each video."""
    if chosen.clips < 1:
        raise NothingToShow("--clips takes a whole number from 1")
    load_plugins(chosen.plugins)
    run = _folder_of(chosen.run, chosen.results)
    videos = rebuild(run, chosen.split, chosen.clips, chosen.ratio or RATIOS)
    style.apply()
    folder = chosen.out or run.parent.parent / "figures"
    for video, rebuilt in videos.items():
        name = file_name(f"reconstruct-{run.name}-{video}")  # an id of a corpus may hold slashes
        title = f"run {run.name}, {chosen.split} video {one_line(video)}"
        cli.write(folder / f"{name}.png", style.rendered(draw(rebuilt, title), ("png",))["png"])
        size = next(iter(rebuilt.values())).original.shape[1]
        cli.write(folder / f"{name}.gif", animate(rebuilt, max(1, 160 // size)))
        cli.output(f"{folder / name}.png (gif)")
    return 0
