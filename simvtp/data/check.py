"""Checks a corpus: `python -m simvtp.data.check webvid:ROOT`; --deep decodes every video.

Without --deep it lists every file and opens a sample of them. With it, each video that cannot be decoded is a line of
its own with the reason, and a list of them is written that training then skips (--set data.skip=FILE). A folder in
place of a corpus, `python -m simvtp.data.check DIR`, is searched for videos with all folders below it.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from rich.table import Table

from simvtp.cli import Parser, add_plugin_argument, main
from simvtp.config.plugins.loading import load_plugins
from simvtp.data.annotations.records import Record
from simvtp.data.annotations.video_files import find_videos, videos_below
from simvtp.data.corpora import skip_list
from simvtp.data.corpora.registry import each_split, kind_of, read_records
from simvtp.data.corpora.spec import kinds
from simvtp.data.video.probe import VideoInfo, probe
from simvtp.data.video.sampling import spread_indices
from simvtp.data.video.video import Video
from simvtp.errors import DataError
from simvtp.runtime.files import expanded, write_bytes
from simvtp.runtime.log import output, stdout_console
from simvtp.runtime.worker_pool import Failure, check_seconds, each

log = logging.getLogger(__name__)

OPENED = 500  # videos of a split that are opened without --deep
NAMED = 3  # missing files of a split
SHOWN = 12  # clips on the contact sheet
SIDE, LINE, MARGIN, FRAMES = 112, 16, 6, 4


@dataclass(frozen=True)
class CheckedSplit:
    """A split as it is on the disk.

    records: all that it lists; videos: those with a file; missing: where other files were looked for; info: of the
    videos that were opened, by file as listed; bad: file as listed, and why it cannot be read.
    """

    name: str
    records: list[Record]
    videos: list[tuple[Record, Path]]
    missing: list[Path]
    info: dict[str, VideoInfo]
    bad: list[tuple[str, str]]


def check(name: str, split: str, *, deep: bool, seconds: float) -> CheckedSplit:
    """Look for the videos of a split of the corpus `name`, and open some.

    deep: decode every frame of every video. seconds: time limit of one video. Raises DataError if the annotations
    cannot be read.
    """
    records, root = read_records(name, split)
    videos, missing = find_videos(records, root, strict=False, corpus=name)
    return _opened(CheckedSplit(split, records, videos, missing, {}, []), deep=deep, seconds=seconds)


def check_folder(folder: Path, *, deep: bool, seconds: float) -> CheckedSplit:
    """`check` of every video below a folder, in place of those that annotations list; raises DataError without any."""
    videos = [
        (Record(file, file, ()), path) for path in videos_below(folder) if (file := str(path.relative_to(folder)))
    ]
    split = CheckedSplit("videos", [record for record, _ in videos], videos, [], {}, [])
    return _opened(split, deep=deep, seconds=seconds)


def _opened(split: CheckedSplit, *, deep: bool, seconds: float) -> CheckedSplit:
    """The split with the result of opening its videos, or of decoding them."""
    videos = split.videos
    chosen = videos if deep else _some(videos, OPENED)
    files = {path: record.file for record, path in chosen}
    info, bad = {}, []
    what = "decoding" if deep else "opening"
    for path, answer in each(probe, deep, list(files), title=f"{split.name}: {what}", seconds=seconds):
        if isinstance(answer, VideoInfo):
            info[files[path]] = answer
        else:
            bad.append((files[path], f"{path}: {answer.why}" if isinstance(answer, Failure) else answer))
    return dataclasses.replace(split, info=info, bad=sorted(bad))


def _some(videos: list[tuple[Record, Path]], count: int) -> list[tuple[Record, Path]]:
    """An even selection."""
    return [videos[i] for i in spread_indices(len(videos), min(count, len(videos)), 0.5)] if videos else []


def report(splits: Sequence[CheckedSplit], deep: bool) -> Table:
    """One column a split."""
    table = Table("", *(split.name for split in splits), box=None)
    rows = {
        "videos listed": lambda s: str(len(s.records)),
        "of these missing": lambda s: str(len(s.missing)),
        "decoded whole" if deep else "opened": lambda s: str(len(s.info) + len(s.bad)),
        "of these unreadable": lambda s: str(len(s.bad)),
        "captions a video": lambda s: _spread([len(r.captions) for r in s.records]),
        "words a caption": lambda s: _spread([len(c.split()) for r in s.records for c in r.captions]),
        "seconds": lambda s: _spread([v.seconds for v in s.info.values() if v.seconds], "{:.1f}"),
        "frames": lambda s: _spread([v.frames for v in s.info.values()]),
        "most common sizes": lambda s: ", ".join(_sizes(s)),
    }  # fmt: skip
    for name, cell in rows.items():
        table.add_row(name, *(cell(split) for split in splits))
    return table


def _spread(values: Sequence[float], form: str = "{:.0f}") -> str:
    """Least, median, greatest."""
    if not values:
        return "-"
    return " / ".join(form.format(value) for value in np.percentile(values, (0, 50, 100)))


def _sizes(split: CheckedSplit) -> list[str]:
    counts = Counter(f"{info.width}x{info.height}" for info in split.info.values())
    return [f"{size} ({count})" for size, count in counts.most_common(3)]


def contact_sheet(split: CheckedSplit) -> Image.Image:
    """A few frames of some videos, each above its first caption."""
    files = {record.file: path for record, path in split.videos}
    readable = [record for record in split.records if record.file in split.info]
    chosen = [readable[i] for i in spread_indices(len(readable), min(SHOWN, len(readable)), 0.5)] if readable else []
    row = SIDE + 2 * LINE + MARGIN
    width = FRAMES * SIDE + (FRAMES + 1) * MARGIN
    sheet = Image.new("RGB", (2 * width, MARGIN + row * ((len(chosen) + 1) // 2)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, record in enumerate(chosen):
        left, top = (number % 2) * width + MARGIN, MARGIN + (number // 2) * row
        video = Video(files[record.file])
        for column, frame in enumerate(video.frames(spread_indices(video.frame_count, FRAMES, 0.5), SIDE)):
            square = ImageOps.fit(Image.fromarray(frame), (SIDE, SIDE))
            sheet.paste(square, (left + column * (SIDE + MARGIN), top))
        draw.text((left, top + SIDE), record.file[-70:], "dimgray", font)
        draw.text((left, top + SIDE + LINE), " ".join(record.captions[:1])[:75], "black", font)
    return sheet


def _main() -> None:
    parser = Parser(prog="python -m simvtp.data.check", description=__doc__)
    parser.add_argument("corpus", help="kind:place, such as webvid:ROOT or csv:FILE; or a folder of videos")
    parser.add_argument("--deep", action="store_true", help="decode every frame of every video")
    parser.add_argument("--list", type=Path, default=Path("unreadable.txt"), metavar="FILE", help="list for data.skip")
    parser.add_argument("--sheet", type=Path, default=Path("corpus.png"), metavar="PNG", help="contact sheet to write")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="time limit of one video (60)")
    add_plugin_argument(parser)
    given = parser.parse_args()
    load_plugins(given.plugins)
    check_seconds(given.seconds)
    splits = _checked(given)
    stdout_console().print(report(splits, given.deep))
    for split in splits:
        if split.missing:
            output(f"missing from {split.name}: {', '.join(map(str, split.missing[:NAMED]))}{_more(split.missing)}")
    if not any(split.videos for split in splits):
        raise DataError(f"{given.corpus}: none of its videos is there; are they below another folder?")
    bad = sorted({entry for split in splits for entry in split.bad})
    for file, why in bad:
        output(f"unreadable: {file}\t{why}")
    if given.deep and not _is_folder(given.corpus):
        skip_list.write(given.list, kind_of(given.corpus), bad)
        log.info("%d videos for training to skip: --set data.skip=%s", len(bad), given.list)
    if any(split.info for split in splits):
        _save_sheet(splits, given.sheet)


def _is_folder(name: str) -> bool:
    """Whether a folder is named instead of a corpus."""
    return name.partition(":")[0] not in kinds() and expanded(name).is_dir()


def _checked(given: argparse.Namespace) -> list[CheckedSplit]:
    if _is_folder(given.corpus):
        return [check_folder(expanded(given.corpus), deep=given.deep, seconds=given.seconds)]
    splits = each_split(given.corpus, lambda name: check(given.corpus, name, deep=given.deep, seconds=given.seconds))
    return list(splits.values())


def _more(missing: Sequence[Path]) -> str:
    return f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""


def _save_sheet(splits: Sequence[CheckedSplit], path: Path) -> None:
    largest = max(splits, key=lambda split: len(split.info))
    picture = io.BytesIO()
    contact_sheet(largest).save(picture, "PNG")
    write_bytes(path, picture.getvalue())
    log.info("contact sheet of %s: %s", largest.name, path)


if __name__ == "__main__":
    main(_main)
