"""A corpus with short, seekable videos. `python -m simvtp.data.prepare webvid:ROOT --out DIR --short-side 256`.

DIR is a corpus of the same kind: every video under its own path, re-encoded (H.264, a key frame every 16 frames, no
sound), and the annotation files beside them. The same command goes on after any interruption; what is done is kept.
Videos that cannot be decoded are left out, which training counts as missing, and listed in DIR/unreadable.txt; they
are tried again only where the file has changed since, or with --retry.
"""

from __future__ import annotations

import dataclasses
import filecmp
import json
import logging
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from simvtp.cli import Parser, add_plugin_argument, main
from simvtp.config.plugins.loading import load_plugins
from simvtp.data.annotations.video_files import find_videos
from simvtp.data.corpora import skip_list
from simvtp.data.corpora.registry import each_split, read_records
from simvtp.data.corpora.spec import LISTS, CorpusSpec
from simvtp.data.video.paths import split_clip
from simvtp.data.video.reencode import Encoding, reencode
from simvtp.data.video.sampling import dense_indices, spread_indices
from simvtp.data.video.video import Video
from simvtp.errors import DataError
from simvtp.runtime.files import settle
from simvtp.runtime.locks import Lock
from simvtp.runtime.log import output, stdout_console
from simvtp.runtime.worker_pool import Failure, check_seconds, each

log = logging.getLogger(__name__)

SETTINGS = "prepared.json"
FAILED = "refused.jsonl"
TIMED = 20  # videos whose reading is timed before and after
SUFFIXES = {".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".txt", ".pkl", ".pickle"}  # of annotation files


@dataclass(frozen=True)
class Prepared:
    """What `prepare` did.

    copies: (source, copy) of all that are there; fresh: how many were made now; bad: file as listed, and why it has
    no copy; known: how many of these failed before and were not tried again; seconds: time taken.
    """

    copies: list[tuple[Path, Path]]
    fresh: int
    known: int
    bad: list[tuple[str, str]]
    seconds: float


@dataclass
class FailedFiles:
    """Videos that could not be re-encoded: a file of JSON lines beside the copies.

    file: the list; known: video -> (size in bytes, time of change in ns, why).

    The lock of the folder keeps other processes from the file.
    """

    file: Path
    known: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> FailedFiles:
        """What the file says, nothing where it is not there; raises DataError where it holds something else."""
        listed = cls(file)
        try:
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            whole, _, half = text.rpartition("\n")
            for line in whole.split("\n") if whole else []:
                video, size, changed, why = json.loads(line)
                listed.known[str(video)] = int(size), int(changed), str(why)
        except (ValueError, TypeError, OverflowError, RecursionError, OSError) as error:
            raise DataError(f"{file} is no list of failed videos ({error}); delete it, and all are tried") from error
        if half:  # the end of a line that a kill cut off
            file.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        return listed

    def why(self, video: Path) -> str | None:
        """Why the video, as it is now, could not be re-encoded; None where it was not tried."""
        size, changed, why = self.known.get(str(video), (-1, 0, ""))
        state = video.stat()
        return why if (state.st_size, state.st_mtime_ns) == (size, changed) else None

    def add(self, video: Path, why: str) -> None:
        """Append a video to the file."""
        if not video.exists():  # taken away meanwhile: missing from now on
            return
        state = video.stat()
        self.known[str(video)] = state.st_size, state.st_mtime_ns, why
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([str(video), *self.known[str(video)]]) + "\n")


def prepare(name: str, out: Path, encoding: Encoding, seconds: float, *, retry: bool = False) -> Prepared:
    """Make the corpus `out` of re-encoded copies of the corpus `name`.

    seconds: time limit of one video. retry: also try what failed before. Raises DataError where the corpus cannot be
    read, or DIR holds copies of another encoding, locks.Busy where another process prepares there.
    """
    spec = CorpusSpec.parse(name)
    if spec.kind == "sprites":
        raise DataError(f"{name} is embedded, small and seekable as it is made; name a corpus on the disk")
    if spec.kind == "shards":
        raise DataError(f"{name} is packed; prepare the corpus that it was made from, and pack what comes of it")
    base = spec.folder
    if out.resolve() == base.resolve() or base.resolve() in out.resolve().parents:
        raise DataError(f"--out {out} lies in the corpus itself; name a folder outside {base}")
    with Lock(out / "lock"):
        return _prepare(spec, out, encoding, seconds, retry)


def _prepare(spec: CorpusSpec, out: Path, encoding: Encoding, seconds: float, retry: bool) -> Prepared:
    began = time.monotonic()
    annotations = _annotations(spec, out)
    replaces = [copy for path, copy in annotations if copy.exists() and not filecmp.cmp(path, copy, shallow=False)]
    settle(out, SETTINGS, {"corpus": str(spec), **dataclasses.asdict(encoding)}, replaces)
    sources = _videos(spec)
    outside = next((source for source in sources if not source.is_relative_to(spec.folder)), None)
    if outside is not None:
        raise DataError(
            f"{spec}: {outside} lies outside {spec.folder}, where its copy would have no place; move the list"
        )
    jobs = {source: (source, out / source.relative_to(spec.folder)) for source in sources}
    if retry:
        (out / FAILED).unlink(missing_ok=True)
    failed = FailedFiles.read(out / FAILED)
    left = [job for job in jobs.values() if not job[1].exists()]
    known = {source: why for source, _ in left if (why := failed.why(source)) is not None}
    todo = [job for job in left if job[0] not in known]
    bad = [(sources[source], why) for source, why in known.items()]
    for (source, _), answer in each(reencode, encoding, todo, title="re-encoding", seconds=seconds):
        if isinstance(answer, Failure | str):
            why = answer.why if isinstance(answer, Failure) else answer
            failed.add(source, why)
            bad.append((sources[source], why))
    for path, copy in annotations:
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    copies = [job for job in jobs.values() if job[1].exists()]
    fresh = len(todo) + len(known) - len(bad)
    return Prepared(copies, fresh, len(known), sorted(bad), time.monotonic() - began)


def _videos(spec: CorpusSpec) -> dict[Path, str]:
    """Every video of every split that is there, and how the corpus lists it."""

    def found_in(split: str) -> dict[Path, str]:
        records, root = read_records(str(spec), split)
        videos, missing = find_videos(records, root, strict=False, corpus=str(spec))
        if missing:
            log.warning("%s, split %s: %d of %d videos have no file", spec, split, len(missing), len(records))
        # of clips the whole video, once: the list names its parts by their times
        return {split_clip(path)[0]: str(split_clip(Path(record.file))[0]) for record, path in videos}

    videos = {path: file for split in each_split(str(spec), found_in).values() for path, file in split.items()}
    if not videos:
        raise DataError(f"{spec}: none of its videos is there")
    return videos


def _annotations(spec: CorpusSpec, out: Path) -> list[tuple[Path, Path]]:
    """(file, its copy) of what lies beside the videos; of a list the files that its name gives, and a vocabulary."""
    base = spec.folder
    if spec.kind in LISTS:
        files = [path for path in (*spec.lists, base / "vocab.txt") if path.is_file() and path.is_relative_to(base)]
    else:
        files = [path for path in base.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    return [(path, out / path.relative_to(base)) for path in files]


def report(done: Prepared) -> Table:
    """Space, and the time that reading a clip takes, before and after."""
    table = Table("", "before", "after", box=None)
    sizes = [sum(path.stat().st_size for path in column) / 2**20 for column in zip(*done.copies, strict=True)]
    table.add_row("videos", str(len(done.copies) + len(done.bad)), str(len(done.copies)))
    table.add_row("MiB", *(f"{size:.1f}" for size in sizes))
    some = [done.copies[i] for i in spread_indices(len(done.copies), min(TIMED, len(done.copies)), 0.5)]
    times = [1000 * _seconds_to_read([pair[side] for pair in some]) / len(some) for side in (0, 1)]
    table.add_row(f"ms to read 16 frames ({len(some)} videos)", *(f"{spent:.0f}" for spent in times))
    return table


def _seconds_to_read(paths: Sequence[Path]) -> float:
    began = time.perf_counter()
    for path in paths:
        video = Video(path)
        video.frames(dense_indices(video.frame_count, 16, 4, 0.5), 224)
    return time.perf_counter() - began


def _main() -> None:
    parser = Parser(prog="python -m simvtp.data.prepare", description=__doc__)
    parser.add_argument("corpus", help="kind:place, such as webvid:ROOT, msrvtt:ROOT or csv:FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the new corpus")
    parser.add_argument("--short-side", type=int, default=256, metavar="PIXELS", help="of a frame; none is enlarged")
    parser.add_argument("--fps", type=float, default=0.0, metavar="N", help="at most so many frames a second (0: all)")
    parser.add_argument("--keys", type=int, default=16, metavar="N", help="frames between two key frames (16)")
    parser.add_argument("--quality", type=int, default=23, metavar="CRF", help="of H.264; lower is better (23)")
    parser.add_argument("--seconds", type=float, default=600.0, metavar="S", help="time limit of one video (600)")
    parser.add_argument("--retry", action="store_true", help="try again what could not be decoded before")
    add_plugin_argument(parser)
    given = parser.parse_args()
    load_plugins(given.plugins)
    check_seconds(given.seconds)
    if given.short_side < 16 or not 0 <= given.fps < math.inf or given.keys < 1 or not 0 <= given.quality <= 51:
        raise DataError("--short-side takes 16 or more, --fps 0 or more, --keys 1 or more, --quality 0 to 51")
    encoding = Encoding(given.short_side, given.fps, given.keys, given.quality)
    done = prepare(given.corpus, given.out, encoding, given.seconds, retry=given.retry)
    spec = CorpusSpec.parse(given.corpus)
    for file, why in done.bad:
        output(f"unreadable: {file}\t{why}")
    skip_list.write(given.out / "unreadable.txt", spec.kind, done.bad)
    if not done.copies:
        raise DataError(f"{given.corpus}: none of its videos can be decoded; {given.out}/unreadable.txt says why")
    stdout_console().print(report(done))
    log.info("%d videos re-encoded now, %d before, in %.0f s", done.fresh, len(done.copies) - done.fresh, done.seconds)
    if done.known:
        log.info("%d videos that could not be decoded before were not tried again (--retry tries them)", done.known)
    written = given.out / spec.path.name if spec.kind in LISTS else given.out
    log.info("the new corpus: %s", dataclasses.replace(spec, place=str(written)))


if __name__ == "__main__":
    main(_main)
