"""Every layout of `layouts` opens, has its counts, and pairs each video with its own captions."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from simvtp.data.corpora.registry import load
from tests.simvtp.data.corpora.layouts import LAYOUTS, Layout, examined
from tests.simvtp.data.corpora.trees import touch


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_videos_show_what_their_captions_say(tmp_path: Path, layout: Layout):
    spec = layout.build(tmp_path)
    for split, counts in layout.counts.items():
        actual = examined(spec, split)
        assert (actual.videos, actual.captions, actual.right) == (*counts, counts[1]), split


def test_pairs_of_the_real_msrvtt_files(tmp_path: Path, shared: Path):
    """Against the annotation files as `csv` and `json` read them."""
    annotations = shared / "annotations"
    for name in ("MSRVTT_JSFUSION_test.csv", "MSRVTT_train.9k.csv", "MSRVTT_train.7k.csv"):
        (tmp_path / name).symlink_to(annotations / name)
    (tmp_path / "MSRVTT_data.json").symlink_to(annotations / "MSRVTT_data_reconstructed.json")
    touch(tmp_path / "MSRVTT_Videos", *(f"video{n}.mp4" for n in range(10_000)))
    with (annotations / "MSRVTT_JSFUSION_test.csv").open(newline="") as file:
        queries = {row["video_id"]: (" ".join(row["sentence"].split()),) for row in csv.DictReader(file)}
    assert {s.path.stem: s.captions for s in load(f"msrvtt:{tmp_path}", "test").samples} == queries
    content = json.loads((annotations / "MSRVTT_data_reconstructed.json").read_text())
    captions: dict[str, list[str]] = {}
    for sentence in content["sentences"]:
        captions.setdefault(sentence["video_id"], []).append(" ".join(sentence["caption"].split()))
    for standard in ("9k", "7k"):
        train = load(f"msrvtt:{tmp_path}?split={standard}", "train").samples
        assert all(list(sample.captions) == captions[sample.path.stem] for sample in train)
        with (annotations / f"MSRVTT_train.{standard}.csv").open(newline="") as file:
            listed = {row["video_id"] for row in csv.DictReader(file)}
        assert {sample.video_id for sample in train} <= listed - queries.keys()
