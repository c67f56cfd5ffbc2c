"""Shards hold the same videos and captions as the folder that they were packed from, and training streams them as if
they were that folder, also from the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import webdataset

from simvtp.data import pack as packing
from simvtp.data.check import check
from simvtp.data.corpora.registry import Corpus, load
from simvtp.data.pack import pack
from simvtp.data.prepare import prepare
from simvtp.data.tokenizer import Tokenizer, load_tokenizer
from simvtp.data.train_loader import Batch, TrainLoader
from simvtp.data.transforms import Augmentation
from simvtp.data.video.paths import file_on_disk
from simvtp.data.video.reencode import Encoding
from simvtp.data.video.sampling import FrameSampling
from simvtp.data.video.video import Decoding, Video
from simvtp.errors import DataError
from tests.simvtp.data.conftest import MIB


def batches(corpus: Corpus, tokenizer: Tokenizer, first: int, count: int, workers: int = 0) -> list[Batch]:
    loader = TrainLoader(
        corpus, tokenizer, sampling=FrameSampling(4, 1), size=32, crop="multiscale", batch=8, words=24, seed=3,
        workers=workers, cache=False, augmentation=Augmentation(rand_augment="m7-n2"),
    )  # fmt: skip
    stream = loader.batches(first)
    return [next(stream) for _ in range(count)]


def assert_same(actual: list[Batch], wanted: list[Batch]) -> None:
    assert [batch.ids for batch in actual] == [batch.ids for batch in wanted]
    for a, b in zip(actual, wanted, strict=True):
        assert torch.equal(a.video, b.video)
        assert torch.equal(a.words, b.words)


@pytest.mark.parametrize("split", ["pretrain", "train", "val", "test"])
def test_the_corpus_is_the_same(corpus_name: str, shards: Path, split: str) -> None:
    before, after = load(corpus_name, split), load(f"shards:{shards}", split)
    assert after.fingerprint == before.fingerprint
    pairs = list(zip(before.samples, after.samples, strict=True))
    assert all((b.video_id, b.captions) == (a.video_id, a.captions) for b, a in pairs)
    source, packed = pairs[3]
    assert (Video(source.path).frames([0, 5, 2]) == Video(packed.path).frames([0, 5, 2])).all()


def test_training_is_that_of_the_folder_and_resumes_exactly(corpus_name: str, shards: Path) -> None:
    tokenizer = load_tokenizer("corpus", corpus_name)
    packed, folder = load(f"shards:{shards}", "pretrain"), load(corpus_name, "pretrain")
    undisturbed = batches(packed, tokenizer, 0, 8)  # five steps an epoch
    assert_same(undisturbed, batches(folder, tokenizer, 0, 8))
    assert_same(batches(packed, tokenizer, 3, 5), undisturbed[3:])
    assert_same(batches(packed, tokenizer, 3, 5, workers=2), undisturbed[3:])
    assert undisturbed[0].ids != undisturbed[5].ids


def test_the_library_streams_them(corpus_name: str, shards: Path) -> None:
    files = sorted(str(path) for path in (shards / "train").glob("*.tar"))
    assert len(files) > 2
    streamed = list(webdataset.WebDataset(files, shardshuffle=False))
    samples = load(corpus_name, "train").samples
    assert [row["mp4"] for row in streamed] == [sample.path.read_bytes() for sample in samples]
    about = [json.loads(row["json"]) for row in streamed]
    assert [(a["video_id"], tuple(a["captions"])) for a in about] == [(s.video_id, s.captions) for s in samples]


def test_tokenizer_fraction_and_check_take_them(corpus_name: str, shards: Path) -> None:
    spec = f"shards:{shards}"
    assert load_tokenizer("corpus", spec).encode(["a red square"], 24) == load_tokenizer("corpus", corpus_name).encode(
        ["a red square"], 24
    )
    ids = [{s.video_id for s in load(name, "pretrain").fraction(0.4, 1).samples} for name in (spec, corpus_name)]
    assert ids[0] == ids[1]
    split = check(spec, "val", deep=True, seconds=60)
    assert (len(split.videos), len(split.info), split.bad) == (8, 8, [])


def test_decord_reads_members(shards: Path) -> None:
    pytest.importorskip("decord", reason="decord has no wheels for this machine")
    path = load(f"shards:{shards}", "val").samples[2].path
    assert (Video(path, "decord").frames([1, 4]) == Video(path, "pyav").frames([1, 4])).mean() > 0.9


def test_a_cut_or_missing_shard_is_named(shards: Path, tmp_path: Path) -> None:
    for path in shards.rglob("*.*"):
        copy = tmp_path / path.relative_to(shards)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    samples = load(f"shards:{tmp_path}", "val").samples
    os.truncate(file_on_disk(samples[-1].path), 1000)
    with pytest.raises(DataError, match=f"{samples[-1].path.name}: cannot be read"):
        Video(samples[-1].path, Decoding().reader)
    file_on_disk(samples[-1].path).unlink()
    with pytest.raises(DataError, match=r"of 8 videos are missing: .*\.tar"):
        load(f"shards:{tmp_path}", "val")
    (tmp_path / "packed.json").unlink()
    with pytest.raises(DataError, match=r"has no packed\.json"):
        load(f"shards:{tmp_path}", "train")


def test_what_is_refused(corpus_name: str, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="begun with another megabytes"):
        pack(corpus_name, shards, 2 * MIB)
    with pytest.raises(DataError, match="packed already"):
        pack(f"shards:{shards}", tmp_path, MIB)
    with pytest.raises(DataError, match="is packed; prepare the corpus"):
        prepare(f"shards:{shards}", tmp_path / "out", Encoding(), 60)
    monkeypatch.setattr(packing, "webdataset", None)
    with pytest.raises(DataError, match=r"simvtp\[shards\]"):
        pack(corpus_name, tmp_path / "out", MIB)


def test_a_list_that_leads_outside_is_refused(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "packed.json").write_bytes((shards / "packed.json").read_bytes())
    for file in (shards / "train").glob("*.json"):
        content = json.loads(file.read_text())
        content["videos"][0]["name"] = "../../../secret.mp4"
        (tmp_path / "train" / file.name).write_text(json.dumps(content))
    with pytest.raises(DataError, match="leads outside"):
        load(f"shards:{tmp_path}", "train")


@pytest.mark.slow
def test_it_goes_on_after_a_kill(corpus_name: str, shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "simvtp.data.pack", corpus_name, "--out", str(out), "--megabytes", str(MIB)]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not list(out.rglob("0*.json")) and time.monotonic() < until:
        time.sleep(0.001)
    first.send_signal(signal.SIGKILL)
    first.wait()
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("0*.json")}
    assert kept
    assert not (out / "packed.json").exists()
    (out / "pretrain" / ".000002.tar.partial").write_bytes(b"half a shard")
    (out / "pretrain" / ".000001.json.k3xq0").write_bytes(b"half a list")
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert f"({len(kept)} of " in again.stderr
    assert all(path.stat().st_mtime_ns == changed for path, changed in kept.items())
    files = {path.relative_to(out): path.read_bytes() for path in out.rglob("0*.*")}
    assert files == {path.relative_to(shards): path.read_bytes() for path in shards.rglob("0*.*")}
    assert not list(out.rglob(".*"))


def test_files_of_others_are_left_alone(corpus_name: str, tmp_path: Path) -> None:
    mine = {"train/000000.tar": "mine", "photos/.0.jpg": "mine", "vocab.txt": "mine"}
    for name, text in mine.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"train/000000\.tar is there, and was not made by this command"):
        pack(corpus_name, tmp_path, MIB)
    (tmp_path / "train" / "000000.tar").unlink()
    with pytest.raises(DataError, match=r"vocab\.txt is there, and was not made by this command"):
        pack(corpus_name, tmp_path, MIB)
    (tmp_path / "vocab.txt").unlink()
    pack(corpus_name, tmp_path, MIB)
    assert (tmp_path / "photos" / ".0.jpg").read_text() == "mine"
