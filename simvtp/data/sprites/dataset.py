"""The embedded corpus on disk: procedurally rendered clips with captions, as WebVid and MSR-VTT publish theirs.

`python -m simvtp.data.sprites.dataset --spec tiny [--verify]` makes it in the cache folder, or checks it file by file.
Below the corpus folder lie webvid/ (pre-training), msrvtt/ (fine-tuning, validation, test), vocab.txt and
manifest.json, the size and sha256 of every file, which is written last: without it the corpus is half-made.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import hashlib
import io
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simvtp.data.sprites.rendering import FRAMES_PER_SECOND, Frames, draw, render
from simvtp.data.sprites.scenes import Clip, Spec, parse_spec, plan, vocabulary_words
from simvtp.errors import DataError
from simvtp.runtime.cache_dir import cache_folder, wait_for
from simvtp.runtime.files import read_json, write_bytes, write_json
from simvtp.runtime.log import show_log
from simvtp.runtime.worker_pool import each

log = logging.getLogger(__name__)

Manifest = dict[str, tuple[int, str]]  # file, from the corpus folder -> size in bytes, sha256

SEEN_TEST = "MSRVTT_seen_test.csv"


def folder_of(spec: Spec, cache_root: Path | None = None) -> Path:
    """Where the corpus of a spec lives, made or not."""
    return (cache_root or cache_folder()) / f"sprites-{spec.digest}"


def ensure(spec: Spec, cache_root: Path | None = None, *, verify: bool = False) -> Path:
    """The folder of a whole corpus: made, finished or repaired first where it has to be.

    Files that are missing or whose size has changed are noticed each time; `verify` reads every file and compares its
    sha256. Waits while another process makes the same corpus.
    """
    folder = folder_of(spec, cache_root)
    manifest = _read_manifest(folder)
    if manifest is not None and not verify and not _differing(folder, manifest):
        return folder
    with wait_for(folder.parent / f"{folder.name}.lock", f"sprites {folder.name}"):
        manifest = _read_manifest(folder)
        wrong = None if manifest is None else _differing(folder, manifest)
        if manifest is not None and verify:
            wrong = sorted({*(wrong or ()), *_wrong_sums(folder, manifest)})
        if manifest is None or wrong:
            if wrong:
                shown = ", ".join(wrong[:5]) + (", ..." if len(wrong) > 5 else "")
                log.warning("sprites: %d files of %s are missing or damaged, made again: %s", len(wrong), folder, shown)
            _make(spec, folder, manifest, wrong or [])
    return folder


def scenes(spec: Spec, split: str) -> Callable[[Sequence[str]], Frames]:
    """What the clips of "train", "val", "test" or "test_seen" show without the camera's noise and the codec's.

    The result is a function: video ids [N] -> uint8 [N, T, H, W, 3].
    """
    clips = {clip.video_id: clip for clip in plan(spec, (split,))[split]}
    return lambda ids: np.stack([draw(spec, clips[video_id], noise=False) for video_id in ids])


def _read_manifest(folder: Path) -> Manifest | None:
    try:
        content = read_json(folder / "manifest.json")
        return {name: (int(size), str(digest)) for name, (size, digest) in content["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not there, or cut off: what it says is found out again from the files


def _sizes(folder: Path) -> dict[str, int]:
    """Size of every file below the folder."""
    found, open_folders = {}, [""]
    while open_folders:
        inside = open_folders.pop()
        try:
            entries = list(os.scandir(folder / inside))
        except FileNotFoundError:
            continue
        for entry in entries:
            name = f"{inside}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                open_folders.append(f"{name}/")
            else:
                found[name] = entry.stat().st_size
    return found


def _differing(folder: Path, manifest: Manifest) -> list[str]:
    """Files that are missing or have another size than the manifest says."""
    sizes = _sizes(folder)
    return sorted(name for name, (size, _) in manifest.items() if sizes.get(name) != size)


def _wrong_sums(folder: Path, manifest: Manifest) -> list[str]:
    return [name for name, (_, digest) in manifest.items() if _sha256(folder / name) != digest]


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _make(spec: Spec, folder: Path, known: Manifest | None, wrong: Sequence[str]) -> None:
    """Render what is missing or in `wrong`, write annotations and, at last, the manifest."""
    began = time.monotonic()
    for name in wrong:  # should this be cut short: the manifest in place still says which files are to be made
        (folder / name).unlink(missing_ok=True)
    parts = plan(spec)
    clips = [clip for part in parts.values() for clip in part]
    for page in {Path(clip.file).parent for clip in clips}:
        (folder / page).mkdir(parents=True, exist_ok=True)
    manifest: Manifest = {}
    for name, content in _annotations(spec, parts):
        write_bytes(folder / name, content)
        manifest[name] = (len(content), hashlib.sha256(content).hexdigest())
    sizes = _sizes(folder)
    missing = [clip for clip in clips if not sizes.get(clip.file)]
    if missing:
        for clip, (size, digest) in each(render, (spec, str(folder)), missing, "rendering clips"):
            manifest[clip.file] = (size, digest)
    for clip in clips:
        if clip.file not in manifest:
            listed = (known or {}).get(clip.file)
            manifest[clip.file] = listed or (sizes[clip.file], _sha256(folder / clip.file) or "")
    for leftover in sizes.keys() - manifest.keys():  # cut-off writes
        (folder / leftover).unlink(missing_ok=True)
    write_json(folder / "manifest.json", {"spec": dataclasses.asdict(spec), "files": dict(sorted(manifest.items()))})
    size = sum(size for size, _ in manifest.values()) / 1e6
    seconds = time.monotonic() - began
    log.info("sprites: %d clips in %.0f s; %d (%.0f MB) in %s", len(missing), seconds, len(clips), size, folder)


def _annotations(spec: Spec, parts: dict[str, list[Clip]]) -> Iterable[tuple[str, bytes]]:
    """Name and content of every file that is no video."""
    for part, name in (("pretrain", "train"), ("pretrain_val", "val")):
        yield f"webvid/results_2M_{name}.csv", _webvid(spec, parts[part])
    yield "msrvtt/MSRVTT_data.json", _msrvtt(spec, parts)
    yield "msrvtt/MSRVTT_train.9k.csv", _csv(("video_id",), [(clip.video_id,) for clip in parts["train"]])
    for part, name in (("test", "MSRVTT_JSFUSION_test.csv"), ("test_seen", SEEN_TEST)):
        rows = [
            (f"ret{i}", f"msr{clip.video_id.removeprefix('video')}", clip.video_id, clip.captions[0])
            for i, clip in enumerate(parts[part])
        ]
        yield f"msrvtt/{name}", _csv(("key", "vid_key", "video_id", "sentence"), rows)
    yield "vocab.txt", ("\n".join(vocabulary_words(spec)) + "\n").encode()


def _webvid(spec: Spec, clips: Sequence[Clip]) -> bytes:
    duration = f"PT00H00M{max(1, round(spec.frames / FRAMES_PER_SECOND)):02d}S"
    rows = [(c.video_id, f"sprites:{c.video_id}", duration, c.file.split("/")[2], c.captions[0]) for c in clips]
    return _csv(("videoid", "contentUrl", "duration", "page_dir", "name"), rows)


def _msrvtt(spec: Spec, parts: dict[str, list[Clip]]) -> bytes:
    """MSRVTT_data.json; both test galleries are its test split, as the 1k-A list is a part of MSR-VTT's."""
    seconds = spec.frames / FRAMES_PER_SECOND
    videos: list[dict[str, Any]] = []
    sentences: list[dict[str, Any]] = []
    for part, split in (("train", "train"), ("val", "validate"), ("test", "test"), ("test_seen", "test")):
        for clip in parts[part]:
            videos.append({"video_id": clip.video_id, "category": 0, "split": split, "start time": 0.0,
                           "end time": seconds, "url": f"sprites:{clip.video_id}", "id": len(videos)})  # fmt: skip
            for caption in clip.captions:
                sentences.append({"sen_id": len(sentences), "video_id": clip.video_id, "caption": caption})
    return json.dumps({"info": {"spec": dataclasses.asdict(spec)}, "videos": videos, "sentences": sentences}).encode()


def _csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simvtp.data.sprites.dataset", description=__doc__)
    parser.add_argument("--spec", default="tiny", help="tiny, small, or with changes: 'tiny?clips=300&seed=1'")
    parser.add_argument("--verify", action="store_true", help="compare every file with its sha256, and repair")
    arguments = parser.parse_args()
    show_log()
    try:
        print(ensure(parse_spec(arguments.spec), verify=arguments.verify))
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    _main()
