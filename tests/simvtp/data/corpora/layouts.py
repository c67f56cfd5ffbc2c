"""Published layouts as people download them, each with videos that show what their captions say.

Video `number` is grey of value 20 * number, and its captions name the number. `python -m
tests.simvtp.data.corpora.layouts` prints a table: which layouts open, how many videos and captions each split has, and
how many pairs are right by content.
"""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import re
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from simvtp.data.corpora.registry import load
from simvtp.data.video.video import Video

Build = Callable[[Path], str]


@dataclass(frozen=True)
class Layout:
    """name: for the table; build(root): writes it and gives the corpus's name; counts: split -> (videos, captions)."""

    name: str
    build: Build
    counts: dict[str, tuple[int, int]]


def said(number: int, again: int = 0) -> str:
    return f"number {number} of the list" + f", told again {again}" * bool(again)


def film(path: Path, numbers: Sequence[int]) -> None:
    """A second of each number, one after the other, 5 frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=5, options={"qp": "4"})
        stream.width = stream.height = 16
        for number in numbers:
            for _ in range(5):
                pixels = np.full((16, 16, 3), 20 * number, np.uint8)
                file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))


def films(root: Path, names: Iterable[str]) -> None:
    for number, name in enumerate(names):
        film(root / name, [number])


def table(path: Path, *rows: Sequence[object], delimiter: str = ",") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    path.write_text(text.getvalue())


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def webvid(root: Path, *, flat: bool, size: str, folder: str) -> str:
    head = ("videoid", "contentUrl", "duration", "page_dir", "name")
    for split, numbers in {"train": (0, 1, 2), "val": (3,)}.items():
        rows = [(1000 + n, "u", "PT1S", "page_1", said(n)) for n in numbers]
        table(root / folder / f"results_{size}_{split}.csv", head, *rows)
    films(root / "videos" / ("" if flat else "page_1"), [f"{1000 + n}.mp4" for n in range(4)])
    return f"webvid:{root}"


def msrvtt_data(root: Path, videos: str) -> str:
    split = ["train", "train", "validate", "test", "test"]
    content = {
        "videos": [{"video_id": f"video{n}", "split": name} for n, name in enumerate(split)],
        "sentences": [{"video_id": f"video{n}", "caption": said(n, again)} for n in range(5) for again in (0, 1)],
    }
    write(root / "MSRVTT_data.json", content)
    table(root / "MSRVTT_train.9k.csv", ["video_id"], ["video0"], ["video1"], ["video2"], ["video4"])
    table(root / "MSRVTT_JSFUSION_test.csv", ["key", "vid_key", "video_id", "sentence"], ["r", "m", "video3", said(3)])
    films(root / videos, [f"video{n}.mp4" for n in range(5)])
    return f"msrvtt:{root}"


def frozen_in_time(root: Path, lists: str) -> str:
    pairs = [{"image_id": f"video{n}", "caption": said(n, again)} for n in range(5) for again in (0, 1)]
    write(root / "annotation/MSR_VTT.json", {"images": [], "annotations": pairs})
    named = {
        "train_list_jsfusion": (0, 1, 2, 4), "val_list_jsfusion": (3,), "train_list_miech": (0, 2),
        "train_list_full": (0, 1), "val_list_full": (2,), "test_list_full": (3, 4),
    }  # fmt: skip
    for name, numbers in named.items():
        write(root / lists / f"{name}.txt", "".join(f"video{n}\n" for n in numbers))
    (root / lists / "jsfusion_val_caption_idx.pkl").write_bytes(pickle.dumps({"video3": 1}))
    films(root / "videos/all", [f"video{n}.mp4" for n in range(5)])
    return f"msrvtt:{root}"


def msvd(root: Path) -> str:
    for split, numbers in {"train": (0, 1), "val": (2,), "test": (3,)}.items():
        write(root / f"{split}_list.txt", "".join(f"clip{n}_1_5\n" for n in numbers))
    captions = {f"clip{n}_1_5": [said(n, again).split() for again in (0, 1)] for n in range(4)}
    (root / "raw-captions.pkl").write_bytes(pickle.dumps(captions))
    films(root / "YouTubeClips", [f"clip{n}_1_5.avi" for n in range(4)])
    return f"msvd:{root}"


def didemo(root: Path, *, lists: bool) -> str:
    names = ["a@N1.mov", "b.avi", "c.mp4", "d.3gp"]
    for split, numbers in {"train": (0, 1), "val": (2,), "test": (1, 3)}.items():
        entries = [{"video": names[n], "description": said(n, again), "times": []} for n in numbers for again in (0, 1)]
        write(root / f"{split}_data.json", entries)
        if lists:
            write(root / f"{split}_list.txt", "".join(f"{names[n]}\n" for n in numbers[-1:]))
    films(root / "videos", ["a@N1.mp4", "b.avi", "c.mp4", "d.mp4"])
    return f"didemo:{root}"


def lsmdc(root: Path) -> str:
    clips = [f"10_Film_00.00.5{n}.926-00.00.54.129" for n in range(3)]
    names = ("LSMDC16_annos_training", "LSMDC16_annos_val", "LSMDC16_challenge_1000_publictect")
    for n, (name, clip) in enumerate(zip(names, clips, strict=True)):
        write(root / f"{name}.csv", f"{chr(34) * (n == 1)}{clip}\t1\t2\t3\t4\t{said(n)}\n")
    films(root / "videos/10_Film", [f"{clip}.avi" for clip in clips])
    return f"lsmdc:{root}"


def activitynet(root: Path) -> str:
    for name, numbers in {"train": (0, 1), "val_1": (2,)}.items():
        write(
            root / f"{name}.json", {f"v_{n}": {"timestamps": [], "sentences": [said(n), "It ends."]} for n in numbers}
        )
    films(root / "videos", [f"v_{n}.mkv" for n in range(3)])
    return f"activitynet:{root}"


def vindlu(root: Path) -> str:
    write(
        root / "msrvtt_ret_train9k.json", [{"video": f"video{n}.mp4", "caption": [said(n), said(n, 1)]} for n in (0, 1)]
    )
    write(root / "msrvtt_ret_test1k.json", [{"video": "video2.mp4", "caption": said(2)}])
    films(root / "videos", [f"video{n}.mp4" for n in range(3)])
    return f"json:{root}/msrvtt_ret_train9k.json?test=msrvtt_ret_test1k.json&root=videos"


def own_lists(root: Path) -> str:
    films(root / "elsewhere", [f"{n}.mp4" for n in range(2)])
    write(root / "lists/train.json", {str(root / "elsewhere" / f"{n}.mp4"): said(n) for n in range(2)})
    return f"json:{root}/lists/train.json"


def hugging_face(root: Path) -> str:
    films(root, [f"{n}.mp4" for n in range(2)])
    table(root / "metadata.csv", ["file_name", "text", "split"], ["0.mp4", said(0), "train"], ["1.mp4", said(1), "dev"])
    return f"csv:{root}/metadata.csv"


def internvid(root: Path) -> str:
    film(root / "videos/aa.mp4", [0, 1, 2])
    rows = [{"YoutubeID": "aa", "Start_timestamp": f"00:00:0{n}.000", "End_timestamp": f"00:00:0{n + 1}.000",
             "Caption": said(n)} for n in range(3)]  # fmt: skip
    write(root / "list.jsonl", "\n".join(map(json.dumps, rows)))
    return f"json:{root}/list.jsonl?root=videos&start=Start_timestamp&end=End_timestamp"


def panda(root: Path) -> str:
    film(root / "videos/aa.mp4", [0, 1, 2])
    times, captions = [[f"0:00:0{n}.000", f"0:00:0{n + 1}.000"] for n in (0, 2)], [said(0), said(2)]
    table(root / "panda70m.csv", ["videoID", "timestamp", "caption"], ["aa", str(times), str(captions)])
    return f"csv:{root}/panda70m.csv?root=videos&times=timestamp"


def howto(root: Path) -> str:
    film(root / "videos/aa.mkv", [0, 1, 2])
    write(root / "raw_caption.json", {"aa": {"start": [0, 1.0], "end": [1, 2.0], "text": [said(0), said(1)]}})
    return f"json:{root}/raw_caption.json?root=videos"


def video2dataset(root: Path) -> str:
    films(root / "films", [f"{n}.mp4" for n in range(4)])
    for shard, numbers in {"00000": (0, 1), "00001": (2, 3)}.items():
        (root / "set").mkdir(exist_ok=True)
        with tarfile.open(root / "set" / f"{shard}.tar", "w") as tar:
            for n in numbers:
                tar.add(root / "films" / f"{n}.mp4", f"{shard}000{n}.mp4")
                caption = tarfile.TarInfo(f"{shard}000{n}.txt")
                caption.size = len(said(n))
                tar.addfile(caption, io.BytesIO(said(n).encode()))
    return f"shards:{root}/set"


LAYOUTS = [
    *(
        Layout(f"WebVid {size}, {'flat' if flat else 'by page'}, lists in {folder or 'ROOT'}",
               lambda root, flat=flat, size=size, folder=folder: webvid(root, flat=flat, size=size, folder=folder),
               {"train": (3, 3), "val": (1, 1)})
        for flat, size, folder in ((False, "2M", ""), (True, "2M", "metadata"), (True, "10M", "metadata"))
    ),
    Layout("MSR-VTT, videos/all", lambda root: msrvtt_data(root, "videos/all"),
           {"train": (3, 6), "val": (1, 2), "test": (1, 1)}),
    Layout("MSR-VTT, CLIP4Clip (MSRVTT_Videos)", lambda root: msrvtt_data(root, "MSRVTT_Videos"),
           {"train": (3, 6), "val": (1, 2), "test": (1, 1)}),
    Layout("MSR-VTT, full split", lambda root: f"{msrvtt_data(root, 'videos')}?split=full",
           {"train": (2, 4), "val": (1, 2), "test": (2, 4)}),
    *(
        Layout(f"MSR-VTT, Frozen in Time, {lists}", lambda root, lists=lists: frozen_in_time(root, lists),
               {"train": (3, 6), "val": (1, 2), "test": (1, 1)})
        for lists in ("structured-symlinks", "high-quality/structured-symlinks")
    ),
    Layout("MSVD", msvd, {"train": (2, 4), "val": (1, 2), "test": (1, 2)}),
    Layout("DiDeMo, JSON alone", lambda root: didemo(root, lists=False),
           {"train": (2, 2), "val": (1, 1), "test": (2, 2)}),
    Layout("DiDeMo, with the field's lists", lambda root: didemo(root, lists=True),
           {"train": (1, 1), "val": (1, 1), "test": (1, 1)}),
    Layout("LSMDC, a stray quote", lsmdc, {"train": (1, 1), "val": (1, 1), "test": (1, 1)}),
    Layout("ActivityNet Captions", activitynet, {"train": (2, 2), "test": (1, 1)}),
    Layout("VindLU and UMT lists", vindlu, {"train": (2, 4), "test": (1, 1)}),
    Layout("SimVTP's lists, absolute paths", own_lists, {"train": (2, 2)}),
    Layout("Hugging Face metadata.csv", hugging_face, {"train": (1, 1), "val": (1, 1)}),
    Layout("InternVid, clips of long videos", internvid, {"train": (3, 3)}),
    Layout("Panda-70M, clips of long videos", panda, {"train": (2, 2)}),
    Layout("HowTo100M, clips of long videos", howto, {"train": (2, 2)}),
    Layout("video2dataset tars", video2dataset, {"train": (4, 4)}),
]  # fmt: skip


@dataclass(frozen=True)
class Found:
    """videos, captions: counted in a split; right: pairs whose video shows the number that the caption names."""

    videos: int
    captions: int
    right: int


def examined(spec: str, split: str) -> Found:
    """What a split holds, each video decoded and compared with each of its captions."""
    samples = load(spec, split).samples
    captions = right = 0
    for sample in samples:
        video = Video(sample.path)
        shade = video.frames(range(video.frame_count)).astype(float).mean(axis=(1, 2, 3))
        for caption in sample.captions:
            numbers = {int(number) for number in re.findall(r"number (\d+)", caption)}
            captions += 1
            right += len(numbers) == 1 and bool((np.abs(shade - 20 * numbers.pop()) < 6).all())
    return Found(len(samples), captions, right)


def main() -> None:
    """Print the table."""
    print("| layout | opened as | videos: captions of each split | pairs right by content |\n|---|---|---|---|")
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SIMVTP_CACHE"] = f"{folder}/cache"
            spec = layout.build(Path(folder) / "root")
            actual = {split: examined(spec, split) for split in layout.counts}
            counts = ", ".join(f"{split} {entry.videos}: {entry.captions}" for split, entry in actual.items())
            right, pairs = (sum(getattr(entry, name) for entry in actual.values()) for name in ("right", "captions"))
            opened = spec.replace(f"{folder}/root", "ROOT")
            print(f"| {layout.name} | `{opened}` | {counts} | {right} of {pairs} |")


if __name__ == "__main__":
    main()
