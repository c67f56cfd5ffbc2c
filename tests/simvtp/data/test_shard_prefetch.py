"""Shards that are copied ahead give the batches of shards that are read at their place, each read once an epoch."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import override
from simvtp.data import sampler, shard_prefetch, train_loader
from simvtp.data.corpora.registry import load
from simvtp.data.resolve import resolved
from simvtp.data.tokenizer import load_tokenizer
from simvtp.data.train_loader import Batch, TrainLoader
from simvtp.data.transforms import Augmentation
from simvtp.data.video.sampling import FrameSampling
from simvtp.data.video.video import Video
from simvtp.errors import ConfigError, DataError

EPOCH = 5  # steps


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampler, "WINDOW", 2)


def loader(shards: Path, corpus_name: str, **changes: Any) -> TrainLoader:
    settings: dict[str, Any] = {
        "sampling": FrameSampling(4, 1), "size": 32, "crop": "multiscale", "batch": 8, "words": 24, "seed": 3,
        "workers": 0, "cache": False, "augmentation": Augmentation(), "order": "shards",
    }  # fmt: skip
    tokenizer = load_tokenizer("corpus", corpus_name)
    return TrainLoader(load(f"shards:{shards}", "pretrain"), tokenizer, **settings | changes)


def first(made: TrainLoader, count: int, step: int = 0) -> list[Batch]:
    return list(itertools.islice(made.batches(step), count))


def left(place: Path) -> list[str]:
    """What is in a folder named as machine.stream, and in the one that this program makes there."""
    return sorted(str(path.relative_to(place)) for path in place.rglob("*"))


OWN = f"simvtp-shards-{os.getuid()}"
EMPTY = [OWN, f"{OWN}/{shard_prefetch.MARKER}"]


def assert_same(actual: list[Batch], wanted: list[Batch]) -> None:
    assert [batch.ids for batch in actual] == [batch.ids for batch in wanted]
    for a, b in zip(actual, wanted, strict=True):
        assert torch.equal(a.video, b.video)
        assert torch.equal(a.words, b.words)


def test_batches_are_the_same_from_any_step_and_with_workers(shards: Path, corpus_name: str, tmp_path: Path) -> None:
    wanted = first(loader(shards, corpus_name), 7)
    assert {i for batch in wanted[:EPOCH] for i in batch.ids} == {
        sample.video_id for sample in load(f"shards:{shards}", "pretrain").samples
    }
    assert_same(first(loader(shards, corpus_name, stream=str(tmp_path)), 7), wanted)
    assert_same(first(loader(shards, corpus_name, stream=str(tmp_path), workers=2), 4, step=3), wanted[3:])
    assert left(tmp_path) == EMPTY


def test_every_shard_is_read_once_an_epoch_from_its_start_and_deleted(
    shards: Path, corpus_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def video(path: Path, *rest: Any) -> Video:
        opened.append(path)
        return Video(path, *rest)

    monkeypatch.setattr(train_loader, "Video", video)
    brought: list[int] = []
    fetched = shard_prefetch.ShardFetcher._copied
    monkeypatch.setattr(shard_prefetch.ShardFetcher, "_copied", lambda self, n: brought.append(n) or fetched(self, n))
    made = loader(shards, corpus_name, stream=str(tmp_path))
    windows, most = made._order.windows, 0
    assert windows >= 3
    for _ in itertools.islice(made.batches(0), 2 * EPOCH):
        (folder,) = (path for path in (tmp_path / OWN).iterdir() if path.is_dir())
        most = max(most, sum(path.is_dir() for path in folder.glob("[0-9]*")))
    assert 80 <= len(opened) <= 88  # the next batch is made ahead
    assert len(set(opened)) == len(opened)  # a copy's path names its window, which is another in the next epoch
    assert all(path.is_relative_to(tmp_path) for path in opened)
    assert brought == list(range(len(brought)))
    assert 2 * windows <= len(brought) <= 2 * windows + 2  # the next epoch's first, and the one after it, ahead
    assert most <= 5  # those of a batch, the next, and one that is not deleted yet
    assert left(tmp_path) == EMPTY


def test_a_broken_video_is_named_by_its_own_place_and_counted_once(
    shards: Path, corpus_name: str, tmp_path: Path
) -> None:
    copy = tmp_path / "shards"
    shutil.copytree(shards, copy)
    about = json.loads((copy / "pretrain" / "000001.json").read_text())["videos"][-1]
    with (copy / "pretrain" / "000001.tar").open("r+b") as file:
        file.seek(about["start"])
        file.write(bytes(about["size"]))
    made = loader(copy, corpus_name, stream=str(tmp_path / "fast"), failures=0.03)
    still = loader(copy, corpus_name, failures=0.03)
    assert_same(first(made, 2 * EPOCH), first(still, 2 * EPOCH))
    assert (made.replaced, list(made._broken)) == (2, list(still._broken))
    (why,) = made._broken.values()
    assert why.startswith(f"{copy}/pretrain/000001.tar/")
    assert "fast" not in why


@pytest.mark.parametrize("workers", [0, 2])
def test_a_shard_that_cannot_be_copied_stops_training(
    shards: Path, corpus_name: str, tmp_path: Path, workers: int
) -> None:
    copy = tmp_path / "shards"
    shutil.copytree(shards, copy)
    made = loader(copy, corpus_name, stream=str(tmp_path / "fast"), workers=workers)
    gone = made._window(made._order.windows - 1).shards[0]
    gone.unlink()
    with pytest.raises(DataError, match=rf"machine.stream: a shard cannot be copied .*No such file.*{gone.name}"):
        first(made, EPOCH + 1)
    assert left(tmp_path / "fast") == EMPTY


def test_what_a_killed_process_left_is_deleted_and_nothing_of_others(
    shards: Path, corpus_name: str, tmp_path: Path
) -> None:
    theirs = {"notes/a.txt": "mine", "notes.lock": "1234", "0123456789ab/a.txt": "mine", "0123456789ab.lock": ""}
    for name, content in theirs.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    first(loader(shards, corpus_name, stream=str(tmp_path)), 1)
    code = (
        "import os, sys; from pathlib import Path; from simvtp.runtime.locks import Lock; base = Path(sys.argv[1]);"
        "Lock(base / 'dead0dead0de.lock').__enter__(); (base / 'dead0dead0de' / '0').mkdir(parents=True); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / OWN)], check=False)
    kept = {"notes/b": "x", "notes.lock": "", "other.lock": ""}  # names that are not of our form
    for name, content in kept.items():
        (tmp_path / OWN / name).parent.mkdir(exist_ok=True)
        (tmp_path / OWN / name).write_text(content)
    first(loader(shards, corpus_name, stream=str(tmp_path)), 1)
    for folder, files in ((tmp_path, theirs), (tmp_path / OWN, kept)):
        for name, content in files.items():
            assert (folder / name).read_text() == content
    assert not list((tmp_path / OWN).glob("dead*"))


@pytest.mark.parametrize("kind", ["foreign", "link"])
def test_a_folder_that_this_program_did_not_make_is_left_alone(
    shards: Path, corpus_name: str, tmp_path: Path, kind: str
) -> None:
    other = tmp_path / "other"
    (other / "0123456789ab").mkdir(parents=True)
    (other / "0123456789ab.lock").touch()
    if kind == "link":
        (other / shard_prefetch.MARKER).touch()
        (tmp_path / OWN).symlink_to(other)
    else:
        other.rename(tmp_path / OWN)
    with pytest.raises(DataError, match=f"machine.stream: .*{OWN} was not made by this program"):
        first(loader(shards, corpus_name, stream=str(tmp_path)), 1)
    assert (tmp_path / OWN / "0123456789ab").is_dir()


def test_an_orphaned_worker_waits_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copies = shard_prefetch.ShardCopies(tmp_path)
    (tmp_path / shard_prefetch.WORKING).touch()
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with pytest.raises(DataError, match="no more shards come"):
        copies.wait(0)


def test_configs_and_ids(shards: Path) -> None:
    tiny = preset("tiny")
    with pytest.raises(ConfigError, match=r"data.order: .* neither data.pretrain nor data.finetune is shards:DIR"):
        override(tiny, {"data.order": "shards"})
    packed = resolved(override(tiny, {"data.pretrain": f"shards:{shards}"}))
    with pytest.raises(ConfigError, match=r"machine.stream: .* takes data.order=shards"):
        override(packed, {"machine.stream": "/tmp"})
    ordered = override(packed, {"data.order": "shards"})
    assert (run_id(ordered) != run_id(packed), pretrain_id(ordered) != pretrain_id(packed)) == (True, True)
    assert run_id(override(ordered, {"machine.stream": "/fast"})) == run_id(ordered)


@pytest.mark.parametrize("place", ["$NO_SUCH_VARIABLE/x", "${NO_SUCH_VARIABLE}", "~no-such-user/x"])
def test_a_place_that_is_not_known_makes_no_folder(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(ConfigError, match=r"machine\.stream: .*NO_SUCH|machine\.stream: '~no-such-user"),
        shard_prefetch.shards_prefetched(place, lambda _: pytest.fail("no window is asked for"), 0, 0),
    ):
        pass
    assert not list(tmp_path.iterdir())
