"""Processes of one machine share the shards that one of them copies, and see what one process sees without copies."""

import itertools
from pathlib import Path

from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.data.from_config import build_train_loader, pretraining_corpus, tokenizer_of
from simvtp.data.pack import pack
from tests.simvtp.processes import together

Shown = tuple[list[str], list[int], int]


def copies(base: Path) -> list[Path]:
    return [path for path in base.glob("simvtp-shards-*/*") if path.is_dir()]


def shown(changes: dict[str, str], base: Path) -> list[Shown]:
    """Of six steps from the second on: video ids, a sum of each clip, and how many folders of copies there are."""
    config = override(preset("tiny"), changes)
    batches = itertools.islice(
        build_train_loader(config, "pretrain", pretraining_corpus(config), tokenizer_of(config)).batches(2), 6
    )
    return [(batch.ids, batch.video.flatten(1).sum(1).tolist(), len(copies(base))) for batch in batches]


def test_two_processes_share_copies(quick: dict[str, str], tmp_path: Path) -> None:
    shards, fast = tmp_path / "shards", tmp_path / "fast"
    pack(quick["data.pretrain"], shards, 0.05)
    packed = {**quick, "data.pretrain": f"shards:{shards}", "data.order": "shards", "machine.frame_cache": "off"}
    alone = shown(packed, fast)
    halves = together(2, tmp_path, shown, {**packed, "machine.stream": str(fast), "machine.workers": "1"}, fast)
    for (ids, sums, _), *parts in zip(alone, *halves, strict=True):
        assert ids == [video for part in parts for video in part[0]]
        assert sums == [number for part in parts for number in part[1]]
    # After the last step the one may have ended, and taken the copies along, before the other looks.
    assert [part[2] for half in halves for part in half[:-1]] == [1] * 10
    assert not copies(fast)
