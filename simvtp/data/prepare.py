"""A corpus with short, seekable videos. `python -m simvtp.data.prepare webvid:ROOT --out DIR --short-side 256`.

DIR is a corpus of the same kind: every video under its own path, re-encoded (H.264, a key frame every 16 frames, no
sound), and the annotation files beside them. The same command goes on after any interruption; what is done is kept.
Videos that cannot be decoded are left out, which training counts as missing, and listed in DIR/unreadable.txt; they
are tried again only where the file has changed since, or with --retry.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from simvtp.cli import main
from simvtp.data.corpora import skip_list
from simvtp.data.corpora.annotations import existing
from simvtp.data.corpora.registry import each_split, kind_of, listed, place_of
from simvtp.data.video.reencode import Form, reencode
from simvtp.data.video.video import Video, dense_indices, spread_indices
from simvtp.errors import DataError
from simvtp.runtime.cache_dir import say
from simvtp.runtime.files import settle
from simvtp.runtime.locks import Lock
from simvtp.runtime.worker_pool import Failure, each

SETTINGS = "prepared.json"


REFUSED = "refused.jsonl"


TIMED = 20  # videos whose reading is timed before and after


SUFFIXES = {".csv", ".tsv", ".json", ".txt", ".pkl", ".pickle"}


@dataclass(frozen=True)
class Done:
    """copies: (source, copy) of all that are there; fresh: how many were made now; bad: file as listed, and why;
    known: how many of these were refused before and not tried again."""

    copies: list[tuple[Path, Path]]
    fresh: int
    known: int
    bad: list[tuple[str, str]]
    seconds: float


def prepare(spec: str, out: Path, form: Form, seconds: float, *, retry: bool = False) -> Done:
    """retry: also try what was refused before. Raises DataError where the corpus cannot be read, or DIR holds copies of
    another form, locks.Busy where another process prepares there."""
    if kind_of(spec) == "sprites":
        raise DataError(f"{spec} is embedded, small and seekable as it is made; name a corpus on the disk")
    if kind_of(spec) == "shards":
        raise DataError(f"{spec} is packed; prepare the corpus that it was made from, and pack what comes of it")
    base = corpus_folder(spec)
    if out.resolve() == base.resolve() or base.resolve() in out.resolve().parents:
        raise DataError(f"--out {out} lies in the corpus itself; name a folder outside {base}")
    with Lock(out / "lock"):
        return _prepared(spec, base, out, form, seconds, retry)


def _prepared(spec: str, base: Path, out: Path, form: Form, seconds: float, retry: bool) -> Done:
    began = time.monotonic()
    settle(out, SETTINGS, {"corpus": spec, **dataclasses.asdict(form)})
    sources = _videos(spec)
    jobs = {source: (source, out / source.relative_to(base)) for source in sources}
    if retry:
        (out / REFUSED).unlink(missing_ok=True)
    refusals = Refusals.of(out / REFUSED)
    left = [job for job in jobs.values() if not job[1].exists()]
    known = {source: why for source, _ in left if (why := refusals.why(source)) is not None}
    todo = [job for job in left if job[0] not in known]
    bad = [(sources[source], why) for source, why in known.items()]
    for (source, _), answer in each(reencode, form, todo, title="re-encoding", seconds=seconds):
        if isinstance(answer, Failure | str):
            why = answer.why if isinstance(answer, Failure) else answer
            refusals.add(source, why)
            bad.append((sources[source], why))
    _copy_annotations(base, out, spec)
    copies = [job for job in jobs.values() if job[1].exists()]
    fresh = len(todo) + len(known) - len(bad)
    return Done(copies, fresh, len(known), sorted(bad), time.monotonic() - began)


def corpus_folder(spec: str) -> Path:
    """Where the annotation files lie."""
    place = Path(place_of(spec)).expanduser()
    return place.parent if kind_of(spec) in ("csv", "json") else place


def _videos(spec: str) -> dict[Path, str]:
    """Every video of every split that is there, and how the corpus lists it."""

    def there(split: str) -> dict[Path, str]:
        records, root = listed(spec, split)
        kept, lost = existing(records, root, strict=False, corpus=spec)
        if lost:
            say(f"{spec}, split {split}: {len(lost)} of {len(records)} videos have no file")
        return {path: record.file for record, path in kept}

    found = {path: file for videos in each_split(spec, there).values() for path, file in videos.items()}
    if not found:
        raise DataError(f"{spec}: none of its videos is there")
    return found


def _copy_annotations(base: Path, out: Path, spec: str) -> None:
    """What lies beside the videos; of csv:FILE and json:FILE the file and a vocabulary alone."""
    if kind_of(spec) in ("csv", "json"):
        files = [path for path in (Path(place_of(spec)).expanduser(), base / "vocab.txt") if path.is_file()]
    else:
        files = [path for path in base.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    for path in files:
        copy = out / path.relative_to(base)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)


def report(done: Done) -> Table:
    """Space, and the time that reading a clip takes, before and after."""
    table = Table("", "before", "after", box=None)
    sizes = [sum(path.stat().st_size for path in column) / 2**20 for column in zip(*done.copies, strict=True)]
    table.add_row("videos", str(len(done.copies) + len(done.bad)), str(len(done.copies)))
    table.add_row("MiB", *(f"{size:.1f}" for size in sizes))
    some = [done.copies[i] for i in spread_indices(len(done.copies), min(TIMED, len(done.copies)), 0.5)]
    times = [1000 * _reading([pair[side] for pair in some]) / len(some) for side in (0, 1)]
    table.add_row(f"ms to read 16 frames ({len(some)} videos)", *(f"{spent:.0f}" for spent in times))
    return table


def _reading(paths: Sequence[Path]) -> float:
    began = time.perf_counter()
    for path in paths:
        video = Video(path)
        video.frames(dense_indices(video.frame_count, 16, 4, 0.5), 224)
    return time.perf_counter() - began


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simvtp.data.prepare", description=__doc__)
    parser.add_argument("corpus", help="kind:place, such as webvid:ROOT, msrvtt:ROOT or csv:FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the new corpus")
    parser.add_argument("--short-side", type=int, default=256, metavar="PIXELS", help="of a frame; none is enlarged")
    parser.add_argument("--fps", type=float, default=0.0, metavar="N", help="at most so many frames a second (0: all)")
    parser.add_argument("--keys", type=int, default=16, metavar="N", help="frames between two key frames (16)")
    parser.add_argument("--quality", type=int, default=23, metavar="CRF", help="of H.264; lower is better (23)")
    parser.add_argument("--seconds", type=float, default=600.0, metavar="S", help="time limit of one video (600)")
    parser.add_argument("--retry", action="store_true", help="try again what could not be decoded before")
    given = parser.parse_args()
    if given.short_side < 16 or given.fps < 0 or given.keys < 1 or not 0 <= given.quality <= 51:
        raise DataError("--short-side takes 16 or more, --fps 0 or more, --keys 1 or more, --quality 0 to 51")
    form = Form(given.short_side, given.fps, given.keys, given.quality)
    done = prepare(given.corpus, given.out, form, given.seconds, retry=given.retry)
    for file, why in done.bad:
        print(f"unreadable: {file}\t{why}")
    skip_list.write(given.out / "unreadable.txt", kind_of(given.corpus), done.bad)
    if not done.copies:
        raise DataError(f"{given.corpus}: none of its videos can be decoded; {given.out}/unreadable.txt says why")
    Console(highlight=False, markup=False, width=120).print(report(done))
    say(f"{done.fresh} videos re-encoded now, {len(done.copies) - done.fresh} before, in {done.seconds:.0f} s")
    if done.known:
        say(f"{done.known} videos that could not be decoded before were not tried again (--retry tries them)")
    place = given.out / Path(place_of(given.corpus)).name if kind_of(given.corpus) in ("csv", "json") else given.out
    say(f"the new corpus: {kind_of(given.corpus)}:{place}")


@dataclass
class Refusals:
    """known: video -> (size, time of change, why). The lock of the folder keeps other processes from the file."""

    file: Path
    known: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path) -> Refusals:
        """What the file says, nothing where it is not there; raises DataError where it holds something else."""
        found = cls(file)
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        whole, _, half = text.rpartition("\n")
        try:
            for line in whole.splitlines():
                video, size, changed, why = json.loads(line)
                found.known[video] = int(size), int(changed), str(why)
        except (ValueError, TypeError) as error:
            raise DataError(f"{file} is no list of refused videos ({error}); delete it, and all are tried") from error
        if half:  # the end of a line that a kill cut off
            file.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        return found

    def why(self, video: Path) -> str | None:
        """Why the video was refused as it is now; None: it was not."""
        size, changed, why = self.known.get(str(video), (-1, 0, ""))
        state = video.stat()
        return why if (state.st_size, state.st_mtime_ns) == (size, changed) else None

    def add(self, video: Path, why: str) -> None:
        if not video.exists():  # taken away meanwhile: missing from now on
            return
        state = video.stat()
        self.known[str(video)] = state.st_size, state.st_mtime_ns, why
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([str(video), *self.known[str(video)]]) + "\n")


if __name__ == "__main__":
    main(_main)
