from __future__ import annotations

import re

import pytest

from simvtp.data.sprites import scenes
from simvtp.data.sprites.scenes import Spec, all_keys, parse_spec, plan, split_keys, vocabulary_words
from simvtp.errors import DataError


def test_2688_keys_and_disjoint_splits() -> None:
    assert len(set(all_keys())) == 6 * 8 * 7 * 8
    keys = split_keys(parse_spec("tiny"))
    assert {name: len(found) for name, found in keys.items()} == {"test": 800, "val": 400, "train": 1488}
    assert len(set(keys["test"]) | set(keys["val"]) | set(keys["train"])) == 2688


def test_held_out_keys_are_shown_by_no_training_clip_but_every_word_kind_is() -> None:
    parts = plan(parse_spec("tiny"))
    shown = {name: {clip.key for clip in clips} for name, clips in parts.items()}
    trained = shown["pretrain"] | shown["train"]
    assert not trained & (shown["test"] | shown["val"] | shown["pretrain_val"])
    assert not shown["test"] & (shown["val"] | shown["pretrain_val"])
    assert shown["test_seen"] <= shown["pretrain"]
    for field in ("shape", "first", "second", "motion"):
        assert {getattr(k, field) for k in shown["test"]} <= {getattr(k, field) for k in trained}


def test_galleries_have_one_video_a_key_and_ids_and_files_of_their_own() -> None:
    parts = plan(parse_spec("tiny"))
    for name, count in {"val": 400, "test": 800, "test_seen": 500}.items():
        assert len({clip.key for clip in parts[name]}) == count == len(parts[name])
    files = [clip.file for clips in parts.values() for clip in clips]
    assert len(files) == len(set(files)) == 3000 + 200 + 1536 + 400 + 800 + 500


def test_a_part_alone_is_what_it_is_in_the_whole() -> None:
    spec = parse_spec("tiny?clips=30&finetune=20")
    whole = plan(spec)
    for part in whole:
        alone = plan(spec, (part,))
        assert alone.pop(part) == whole[part]
        assert not any(alone.values())


def words_of(caption: str) -> list[str]:
    """Words and signs, as WordPiece cuts them before its vocabulary."""
    return re.findall(r"\w+|[^\w\s]", caption)


def test_captions_mean_their_key_and_nothing_else() -> None:
    meaning = {}
    groups = [scenes.SHAPES, scenes.COLOURS, {name: ways for name, (_, ways) in scenes.MOTIONS.items()}]
    for group in groups:
        for concept, words in group.items():
            for word in words:
                assert word not in meaning
                meaning[word] = concept
    for clip in plan(parse_spec("small?clips=300&finetune=50"))["pretrain"]:
        concepts = [meaning[word] for word in words_of(clip.captions[0]) if word in meaning]
        # every attribute is named as often as the spec says
        assert sorted(concepts) == sorted([clip.key.shape, clip.key.first, clip.key.second, clip.key.motion] * 2)


def test_five_distinct_captions_for_fine_tuning_and_one_elsewhere() -> None:
    parts = plan(parse_spec("tiny?clips=10"))
    assert all(len(set(clip.captions)) == 5 for clip in parts["train"])
    assert all(len(clip.captions) == 1 for name in ("pretrain", "val", "test") for clip in parts[name])


def test_mentions_and_fillers_make_captions_longer() -> None:
    def length(text: str) -> float:
        captions = [clip.captions[0] for clip in plan(parse_spec(text))["pretrain"]]
        return sum(len(words_of(caption)) for caption in captions) / len(captions)

    short = length("tiny?clips=200&mentions=1")
    assert 6.5 < short < 8.5
    assert length("tiny?clips=200&mentions=3") > 3 * short
    assert length("tiny?clips=200&mentions=1&fillers=4") == pytest.approx(short + 4, abs=0.2)


def test_the_vocabulary_holds_every_word() -> None:
    for name, size in {"tiny": 67, "tiny?templates=6&fillers=1&synonyms=4": 126}.items():
        spec = parse_spec(f"{name}&clips=3000" if "?" in name else f"{name}?clips=3000")
        words = vocabulary_words(spec)
        assert words[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        assert len(words) == len(set(words)) == size
        spoken = {w for clips in plan(spec).values() for clip in clips for c in clip.captions for w in words_of(c)}
        assert spoken <= set(words)


def test_the_plan_follows_from_the_seed() -> None:
    assert plan(parse_spec("tiny?clips=50")) == plan(parse_spec("tiny?clips=50"))
    assert plan(parse_spec("tiny?clips=50"))["test"] != plan(parse_spec("tiny?clips=50&seed=1"))["test"]
    assert Spec().digest == parse_spec("tiny").digest == parse_spec("tiny?seed=0").digest
    assert Spec().digest != Spec(seed=1).digest
    assert Spec(share=0.5).digest == parse_spec("tiny?share=0.50").digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tinny", "did you mean 'tiny'"),
        ("tiny?clip=3", "did you mean 'clips'"),
        ("tiny?clips=many", "'many' in 'tiny\\?clips=many' is not a whole number"),
        ("tiny?clips=0", "clips=0 is not possible"),
        ("tiny?objects=37", "objects=37 is not possible; it takes a whole number from 1 to 36"),
        ("tiny?share=1.5", "share=1.5 is not possible; it takes a number from 0.05 to 1"),
        ("tiny?share=much", "share='much' in 'tiny\\?share=much' is not a number"),
        ("tiny?objects=2.5", "objects='2.5' in 'tiny\\?objects=2.5' is not a whole number"),
        ("tiny?test=2400&test_seen=1", "test_seen=1 is not possible; it takes fewer"),
    ],
)
def test_a_spec_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_spec(text)
