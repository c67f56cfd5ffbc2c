"""Damaged annotation files against every reader: `python -m tests.fuzz.annotations --count 3000`.

Each case damages a file of a small corpus at random, loads one split, in a process killed after 10 seconds. A result
is a corpus or a DataError; all else is printed and makes the exit code 1. `--first N --count 1` runs case N again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import pickle
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from simvtp.data.corpora.registry import load
from simvtp.data.prepare import FailedFiles
from simvtp.errors import DataError
from simvtp.runtime.files import settle

SECONDS = 10.0
SPLITS = ("pretrain", "train", "val", "test")


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _webvid(root: Path) -> str:
    for split in ("train", "val"):
        rows = f'videoid,contentUrl,duration,page_dir,name\n1{split},u,d,p,a man\n2{split},u,d,p,"two, so"\n'
        (root / f"results_2M_{split}.csv").write_text(rows)
        _touch(root / "videos/p", f"1{split}.mp4", f"2{split}.mp4")
    return f"webvid:{root}"


def _msrvtt(root: Path) -> str:
    names = ["train", "train", "validate", "test"]
    content = {
        "videos": [{"video_id": f"video{i}", "split": name, "id": i} for i, name in enumerate(names)],
        "sentences": [{"video_id": f"video{i}", "caption": f"caption {i}", "sen_id": i} for i in range(4)],
    }
    (root / "MSRVTT_data.json").write_text(json.dumps(content))
    (root / "MSRVTT_train.9k.csv").write_text("video_id\nvideo0\nvideo1\n")
    (root / "MSRVTT_JSFUSION_test.csv").write_text("key,vid_key,video_id,sentence\nr,m,video3,three\n")
    _touch(root / "videos", *(f"video{i}.mp4" for i in range(4)))
    return f"msrvtt:{root}"


def _frozen(root: Path) -> str:
    lists = root / "structured-symlinks"
    lists.mkdir()
    (root / "annotation").mkdir()
    pairs = [{"image_id": f"video{i // 2}", "caption": f"caption {i}", "id": i} for i in range(8)]
    (root / "annotation/MSR_VTT.json").write_text(json.dumps({"annotations": pairs}))
    full = {"train": "video0\nvideo1\n", "val": "video2\n", "test": "video3\n"}
    for name, ids in full.items():
        (lists / f"{name}_list_full.txt").write_text(ids)
    (lists / "train_list_jsfusion.txt").write_text("video0\nvideo1\nvideo2\n")
    (lists / "val_list_jsfusion.txt").write_text("video3\n")
    (lists / "jsfusion_val_caption_idx.pkl").write_bytes(pickle.dumps({"video3": 1}))
    _touch(root / "videos/all", *(f"video{i}.mp4" for i in range(4)))
    return f"msrvtt:{root}"


def _msvd(root: Path) -> str:
    for split in SPLITS[1:]:
        (root / f"{split}_list.txt").write_text(f"{split}_1\n{split}_2\n")
        _touch(root / "videos", f"{split}_1.avi", f"{split}_2.mp4")
    captions = {f"{split}_{i}": [["a", "man"], "he sings"] for split in SPLITS[1:] for i in (1, 2)}
    (root / "raw-captions.pkl").write_bytes(pickle.dumps(captions, protocol=2))
    return f"msvd:{root}"


def _didemo(root: Path) -> str:
    for split in SPLITS[1:]:
        entries = [{"video": f"{split}{i}.mov", "description": f"part {i}", "times": [[0, 1]]} for i in range(3)]
        (root / f"{split}_data.json").write_text(json.dumps(entries))
        _touch(root / "videos", *(f"{split}{i}.mp4" for i in range(3)))
    (root / "test_list.txt").write_text("test0\ntest1.mov\n")
    return f"didemo:{root}"


def _lsmdc(root: Path) -> str:
    names = {"train": "annos_training", "val": "annos_val", "test": "challenge_1000_publictect"}
    for split, name in names.items():
        clip = f"10_{split}_00.00.51.926-00.00.54.129"
        (root / f"LSMDC16_{name}.csv").write_text(f'{clip}\t1\t2\t3\t4\tSOMEONE says.\n"{clip}\t1\t2\t3\t4\tAgain.\n')
        _touch(root / "videos", f"10_{split}/{clip}.avi")
    return f"lsmdc:{root}"


def _activitynet(root: Path) -> str:
    videos = [f"v_{i:03}" for i in range(40)]
    content = {video: {"timestamps": [[0, 1]], "sentences": [" A.", f"{video}."]} for video in videos}
    (root / "train.json").write_text(json.dumps(content))
    (root / "val_1.json").write_text(json.dumps({"v_t": {"timestamps": [[0, 1]], "sentences": ["One.", "Two."]}}))
    _touch(root / "videos", *(f"{video}.mkv" for video in videos), "v_t.mp4")
    return f"activitynet:{root}"


def _csv(root: Path) -> str:
    rows = 'video,caption,split\na.mp4,one,train\nb.mp4,"two, so",val\nc.mp4,three,test\nd.mp4,four,train\n'
    (root / "list.csv").write_text(rows)
    _touch(root, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    return f"csv:{root}/list.csv"


def _json(root: Path) -> str:
    entries = [{"video": f"{name}.mp4", "caption": [name, "x"], "split": split} for name, split in zip(
        "abcd", ("train", "val", "test", "train"), strict=True)]  # fmt: skip
    (root / "list.json").write_text(json.dumps(entries))
    _touch(root, "a.mp4", "b.mp4", "c.mp4", "d.mp4")
    return f"json:{root}/list.json"


def _json_lines(root: Path) -> str:
    rows = [json.dumps({"path": f"{name}.mp4", "text": name}) for name in "abc"]
    (root / "list.jsonl").write_text("\n".join(rows) + "\n")
    _touch(root, "a.mp4", "b.mp4", "c.mp4")
    return f"json:{root}/list.jsonl"


def _shards(root: Path) -> str:
    (root / "packed.json").write_text(json.dumps({"version": 1, "splits": {"train": 1, "val": 1, "test": 1}}))
    for split in SPLITS[1:]:
        video = {"video_id": f"{split}_1", "captions": ["x"], "name": "0.mp4", "start": 512, "size": 9}
        _touch(root, f"{split}/000000.tar")
        (root / split / "000000.json").write_text(json.dumps({"bytes": 0, "videos": [video]}))
    return f"shards:{root}"


def _prepared(root: Path) -> str:
    settle(root, "prepared.json", {"corpus": "csv:x", "fps": 0.0})
    FailedFiles(root / "refused.jsonl").add(Path(__file__), "no frame")
    return "prepared"


CORPORA: tuple[Callable[[Path], str], ...] = (
    _webvid, _msrvtt, _frozen, _msvd, _didemo, _lsmdc, _activitynet, _csv, _json, _json_lines, _shards, _prepared,
)  # fmt: skip
SNIPPETS = (
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b"\t", b",", b";", b"{", b"[", b"}", b"]", b"null",
    b"true", b"-1", b"1e999", b"NaN", b"1" * 5000, b"x" * 140_000, b"../../../etc/passwd", b"/etc/passwd", b"~nobody",
    b"\\ud800", "\u2028".encode(), b"[" * 5000, b"\\u0000", b"a.mp4" * 80, b"[b]", b"\x1b[2J", b"{}", b"[]", b"split",
)  # fmt: skip


def damage(content: bytes, draw: random.Random) -> bytes:
    """One to three edits of bytes: cut, overwrite, insert, delete, repeat, swap lines, change a number or a word."""
    for _ in range(draw.randint(1, 3)):
        start = draw.randrange(len(content) + 1)
        end = min(len(content), start + draw.choice((1, 2, 8, 40)))
        kind = draw.randrange(7)
        if kind == 0:
            content = content[:start]
        elif kind == 1:
            content = content[:start] + draw.randbytes(end - start) + content[end:]
        elif kind == 2:
            content = content[:start] + draw.choice(SNIPPETS) + content[start:]
        elif kind == 3:
            content = content[:start] + content[end:]
        elif kind == 4:
            content = content[:end] + content[start:end] * draw.randint(1, 3) + content[end:]
        elif kind == 5:
            lines = content.split(b"\n")
            draw.shuffle(lines)
            content = b"\n".join(lines)
        else:
            words = [
                b'"' + word + b'"' for word in (b"video", b"caption", b"split", b"captions", b"sentences", b"size")
            ]
            content = content.replace(draw.choice(words), draw.choice(SNIPPETS), 1)
    return content


def damage_value(value: object, draw: random.Random) -> object:
    """The value with one part of it, at random depth, replaced by one of another type."""
    odd = (
        None,
        True,
        -1,
        10**400,
        1.5,
        "",
        " ",
        "\ud800",
        [],
        {},
        [[]],
        {"a": 1},
        "../x",
        "/x",
        "x" * 300,
        float("inf"),
    )
    if isinstance(value, dict) and value and draw.random() < 0.8:
        key = draw.choice(list(value))
        return value | {key: damage_value(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.8:
        place = draw.randrange(len(value))
        return [*value[:place], damage_value(value[place], draw), *value[place + 1 :]]
    return draw.choice(odd)


def case(seed: int, folder: Path) -> str:
    """Damage one file of one corpus and read it; what came of it: "read", "refused", or a traceback."""
    draw = random.Random(seed)
    name = draw.choice(CORPORA)(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    path = draw.choice(files)
    content = path.read_bytes()
    if path.suffix == ".json" and draw.random() < 0.5:
        path.write_text(json.dumps(damage_value(json.loads(content), draw)))
    elif path.suffix == ".pkl" and draw.random() < 0.5:
        path.write_bytes(pickle.dumps(damage_value(pickle.loads(content), draw)))
    elif draw.random() < 0.03:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(damage(content, draw))
    try:
        if name == "prepared":
            FailedFiles.read(folder / "refused.jsonl").why(Path(__file__))
            settle(folder, "prepared.json", {"corpus": "csv:x", "fps": 0.0})
        else:
            load(name, draw.choice(SPLITS), missing=draw.choice(("error", "miss")))
    except DataError as error:
        return "refused" if 0 < len(str(error)) < 2000 else f"a message of {len(str(error))} characters"
    except Exception:  # noqa: BLE001  (this is what the fuzzer looks for)
        return traceback.format_exc()
    return "read"


def _serve(pipe: Connection) -> None:
    """In its own process: answer seeds until the pipe closes."""
    with contextlib.suppress(EOFError):
        while True:
            seed = pipe.recv()
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
                pipe.send(case(seed, Path(folder)))


def fuzz(first: int, count: int) -> tuple[Counter[str], dict[int, str]]:
    """How many cases were read and refused, and by seed what is neither: tracebacks, hangs, ends of the process."""
    context = multiprocessing.get_context("spawn")
    counts, wrong = Counter[str](), dict[int, str]()
    process, pipe = None, None
    for seed in range(first, first + count):
        if process is None or pipe is None:
            pipe, other = context.Pipe()
            process = context.Process(target=_serve, args=(other,), daemon=True)
            process.start()
            other.close()
        pipe.send(seed)
        try:
            outcome = (
                pipe.recv() if pipe.poll(SECONDS * (6 if seed == first else 1)) else f"nothing after {SECONDS:g} s"
            )
        except EOFError:
            outcome = "the process ended"
        if outcome in ("read", "refused"):
            counts[outcome] += 1
            continue
        counts["wrong"] += 1
        wrong[seed] = outcome
        if not outcome.startswith("Traceback"):
            process.kill()
            process = None
    if process is not None:
        process.kill()
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000, help="cases (3000)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first case (0)")
    given = parser.parse_args()
    counts, wrong = fuzz(given.first, given.count)
    for seed, outcome in wrong.items():
        print(f"seed {seed}: {outcome}")
    hung = sum(outcome.startswith("nothing after") for outcome in wrong.values())
    print(f"annotations: {given.count} cases, {counts['read']} read, {counts['refused']} refused, "
          f"{len(wrong) - hung} tracebacks, {hung} hangs")  # fmt: skip
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
