from __future__ import annotations

import re

import pytest

from simvtp.data.sprites import scenes
from simvtp.data.sprites.scenes import Spec, all_keys, parse_spec, plan, split_keys, vocabulary_words
from simvtp.errors import DataError

COUNTS = {"pretrain": 300, "pretrain_val": 20, "train": 60, "val": 50, "test": 80, "test_seen": 40}
FEW = "tiny?clips=300&pretrain_validation=20&finetune=60&validation=50&test=80&test_seen=40"


def test_every_combination_is_a_key_and_splits_share_none() -> None:
    kinds = (scenes.SHAPES, scenes.COLOURS, scenes.MOTIONS)
    shapes, colours, motions = map(len, kinds)
    count = shapes * colours * (colours - 1) * motions
    assert len(set(all_keys())) == len(all_keys()) == count
    keys = split_keys(parse_spec(FEW))
    assert {name: len(drawn) for name, drawn in keys.items()} == {"test": 80, "val": 50, "train": count - 130}
    assert len(set(keys["test"]) | set(keys["val"]) | set(keys["train"])) == count


def test_held_out_keys_are_shown_by_no_training_clip_but_every_word_kind_is() -> None:
    parts = plan(parse_spec(FEW))
    shown = {name: {clip.key for clip in clips} for name, clips in parts.items()}
    trained = shown["pretrain"] | shown["train"]
    assert not trained & (shown["test"] | shown["val"] | shown["pretrain_val"])
    assert not shown["test"] & (shown["val"] | shown["pretrain_val"])
    assert shown["test_seen"] <= set(split_keys(parse_spec(FEW))["train"])
    for field in ("shape", "first", "second", "motion"):
        assert {getattr(k, field) for k in shown["test"]} <= {getattr(k, field) for k in trained}


def test_galleries_have_one_video_a_key_and_ids_and_files_of_their_own() -> None:
    parts = plan(parse_spec(FEW))
    assert {name: len(clips) for name, clips in parts.items()} == COUNTS
    for name in ("val", "test", "test_seen"):
        assert len({clip.key for clip in parts[name]}) == COUNTS[name]
    assert len({clip.file for clips in parts.values() for clip in clips}) == sum(COUNTS.values())


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
    groups = [scenes.SHAPES, scenes.COLOURS, scenes.MOTIONS]
    for group in groups:
        for concept, words in group.items():
            for word in words:
                assert word not in meaning
                meaning[word] = concept
    for clip in plan(parse_spec(f"{FEW}&mentions=2&templates=6&synonyms=4"), ("pretrain",))["pretrain"]:
        concepts = [meaning[word] for word in words_of(clip.captions[0]) if word in meaning]
        # every attribute is named as often as the spec says
        assert sorted(concepts) == sorted([clip.key.shape, clip.key.first, clip.key.second, clip.key.motion] * 2)


def test_five_distinct_captions_for_fine_tuning_and_one_elsewhere() -> None:
    parts = plan(parse_spec(FEW))
    assert all(len(set(clip.captions)) == 5 for clip in parts["train"])
    assert all(len(clip.captions) == 1 for name in ("pretrain", "val", "test") for clip in parts[name])


def test_mentions_and_fillers_make_captions_longer() -> None:
    def length(text: str) -> float:
        clips = plan(parse_spec(f"{FEW}&{text}"), ("pretrain",))["pretrain"]
        return sum(len(words_of(clip.captions[0])) for clip in clips) / len(clips)

    short = length("mentions=1")
    assert length("mentions=3") > 3 * short  # and what joins them
    assert length("mentions=1&fillers=4") == pytest.approx(short + 4, abs=0.2)


@pytest.mark.parametrize("wording", ["synonyms=1", "templates=6&fillers=1&synonyms=4"])
def test_the_vocabulary_holds_every_word_and_few_others(wording: str) -> None:
    spec = parse_spec(f"{FEW}&{wording}")
    words = vocabulary_words(spec)
    assert words[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert len(words) == len(set(words))
    spoken = {w for clips in plan(spec).values() for clip in clips for c in clip.captions for w in words_of(c)}
    assert spoken <= set(words)
    assert set(words[5:]) - spoken <= set(scenes.WORDS_OF_TEMPLATES)


def test_the_plan_follows_from_the_seed() -> None:
    assert plan(parse_spec(FEW)) == plan(parse_spec(FEW))
    assert plan(parse_spec(FEW))["test"] != plan(parse_spec(f"{FEW}&seed=1"))["test"]
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
        (f"tiny?validation=1&test={len(all_keys()) - 1}&test_seen=1", "test_seen=1 is not possible; it takes fewer"),
    ],
)
def test_a_spec_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_spec(text)
