"""What a run is, is the content of its corpora: ids follow edits, and not where the files lie."""

import os
import shutil
from pathlib import Path

import pytest

from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import Config, override
from simvtp.data.corpora import content, registry
from simvtp.data.from_config import retrieval_corpus
from simvtp.data.resolve import resolved
from simvtp.errors import ConfigError, DataError
from sweeps.plan import make_plan

VOCABULARY = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n"


def corpus(folder: Path, rows: int = 4, size: int = 10) -> Path:
    """A CSV with videos of `size` bytes: nothing here opens them."""
    folder.mkdir(parents=True)
    lines = ["video,caption,split"]
    for split in ("train", "val", "test"):
        for number in range(rows):
            (folder / f"{split}{number}.mp4").write_bytes(bytes(size))
            lines.append(f"{split}{number}.mp4,a caption,{split}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    (folder / "vocab.txt").write_text(VOCABULARY)
    return folder / "pairs.csv"


def config(place: object, **changes: object) -> Config:
    values = {"data.pretrain": f"csv:{place}", "data.finetune": f"csv:{place}", "pretrain.batch": 2}
    return override(preset("tiny"), {**values, **changes})


def ids(place: object) -> tuple[str, str | None]:
    made = resolved(config(place))
    return run_id(made), pretrain_id(made)


def test_an_edit_of_the_annotations_is_another_run(tmp_path: Path) -> None:
    pairs = corpus(tmp_path / "a")
    before = ids(pairs)
    assert ids(pairs) == before
    lines = pairs.read_text().splitlines()
    pairs.write_text("\n".join(line for line in lines if not line.startswith("test3")) + "\n")
    fewer = ids(pairs)
    assert fewer[0] != before[0]
    assert fewer[1] == before[1]  # pre-training does not read the test split
    pairs.write_text("\n".join(lines).replace("train0.mp4,a caption", "train0.mp4,another") + "\n")
    assert ids(pairs)[1] != before[1]
    pairs.write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]) + "\n")
    assert ids(pairs)[1] != before[1]  # batches are drawn by the order of the rows
    pairs.write_text("\n".join(lines) + "\n\n")
    assert ids(pairs) == before


def test_another_size_or_a_missing_video_is_another_run(tmp_path: Path) -> None:
    pairs = corpus(tmp_path / "a")
    before = ids(pairs)
    (tmp_path / "a" / "train0.mp4").unlink()
    missing = ids(pairs)
    (tmp_path / "a" / "train0.mp4").write_bytes(bytes(11))
    assert len({before, missing, ids(pairs)}) == 3


def test_one_corpus_by_any_path_is_one_and_two_of_one_relative_path_are_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs, other = corpus(tmp_path / "a" / "data"), corpus(tmp_path / "b" / "data", rows=3)
    monkeypatch.chdir(tmp_path / "a")
    relative = ids("data/pairs.csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert relative == ids(pairs) == ids("~/a/data/pairs.csv") == ids(pairs.parent / ".." / "data" / "pairs.csv")
    assert resolved(config("data/pairs.csv")).data.pretrain.startswith(f"csv:{pairs}#")
    monkeypatch.chdir(tmp_path / "b")
    assert ids("data/pairs.csv") == ids(other) != relative
    shutil.move(tmp_path / "a" / "data", tmp_path / "moved")
    assert ids(tmp_path / "moved" / "pairs.csv") == relative


def test_a_resolved_config_needs_no_files_for_its_ids_and_refuses_other_content(tmp_path: Path) -> None:
    pairs = corpus(tmp_path / "a")
    with pytest.raises(ConfigError, match="has no digest"):
        run_id(config(pairs))
    fixed = resolved(config(pairs))
    assert resolved(fixed) == fixed
    known = run_id(fixed)
    pairs.write_text(pairs.read_text().replace("a caption", "b caption"))
    for use in (lambda: resolved(fixed), lambda: retrieval_corpus(fixed, "test")):
        with pytest.raises(ConfigError, match=r"data.(pretrain|finetune): what is in csv:.*pairs.csv is not what was"):
            use()
    shutil.rmtree(tmp_path / "a")
    assert run_id(fixed) == known
    with pytest.raises(DataError, match="does not exist"):
        resolved(fixed)


def test_another_vocabulary_is_another_run(tmp_path: Path) -> None:
    pairs = corpus(tmp_path / "a")
    before, words = ids(pairs), tmp_path / "words.txt"
    shutil.copy(tmp_path / "a" / "vocab.txt", words)
    named = resolved(config(pairs, **{"data.tokenizer": str(words)}))
    assert run_id(named) == before[0]
    (tmp_path / "a" / "vocab.txt").write_text(VOCABULARY + "b\n")
    assert ids(pairs) != before


def test_a_sweep_of_an_edited_corpus_is_another_sweep(tmp_path: Path) -> None:
    pairs = corpus(tmp_path / "a")
    plans = [make_plan("towers", "tiny", resolved(config(pairs)), (0,))]
    lines = pairs.read_text().splitlines(keepends=True)
    pairs.write_text("".join(lines[:-1]))
    plans.append(make_plan("towers", "tiny", resolved(config(pairs)), (0,)))
    assert not plans[0].runs.keys() & plans[1].runs.keys()
    assert plans[0].folder != plans[1].folder


def test_the_embedded_corpus_is_its_spec() -> None:
    assert resolved(preset("tiny")) == preset("tiny")


def test_the_digest_of_a_large_corpus_is_kept_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMVTP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(content, "MANY", 1)
    pairs = corpus(tmp_path / "a")
    for path in (pairs, pairs.parent, pairs.parent / "vocab.txt"):
        os.utime(path, (1e9, 1e9))
    reads: list[str] = []
    read_records = registry.read_records

    def count(spec: str, split: str) -> object:
        reads.append(split)
        return read_records(spec, split)

    monkeypatch.setattr(registry, "read_records", count)
    first = content.pinned_corpus("finetune", f"csv:{pairs}")
    content._known.clear()  # as another process
    assert content.pinned_corpus("finetune", f"csv:{pairs}") == first
    assert reads == ["train", "val", "test"]
    (tmp_path / "a" / "test0.mp4").unlink()
    content._known.clear()
    assert content.pinned_corpus("finetune", f"csv:{pairs}") != first
    kept = next((tmp_path / "cache" / "corpora").iterdir())
    kept.write_text("{")
    content._known.clear()
    assert content.pinned_corpus("finetune", f"csv:{pairs}").startswith(f"csv:{pairs}#")


def test_lists_behind_a_linked_folder_are_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMVTP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(content, "MANY", 1)
    root, disk = tmp_path / "shards", tmp_path / "disk"
    root.mkdir()
    disk.mkdir()
    (root / "train").symlink_to(disk)
    (root / "itself").symlink_to(root)
    (root / "packed.json").write_text('{"splits": {"train": 1}}')
    entry = '{"videos": [{"video_id": "a", "name": "a.mp4", "captions": ["a cat"], "start": 0, "size": 4}]}'
    (disk / "000000.json").write_text(entry)
    (disk / "000000.tar").write_bytes(bytes(4))
    for path in (root / "packed.json", disk / "000000.json", disk, root):
        os.utime(path, (1e9, 1e9))
    first = content.pinned_corpus("pretrain", f"shards:{root}")
    (disk / "000000.json").write_text(entry.replace("cat", "dog"))
    content._known.clear()  # as another process
    assert content.pinned_corpus("pretrain", f"shards:{root}") != first
