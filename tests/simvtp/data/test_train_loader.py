from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from simvtp.data.corpora.registry import Corpus, Sample, load
from simvtp.data.gallery_loader import GalleryLoader
from simvtp.data.tokenizer import Tokenizer, load_tokenizer
from simvtp.data.train_loader import Batch, TrainLoader
from simvtp.data.transforms import Augmentation
from simvtp.data.video.sampling import FrameSampling
from simvtp.data.video.video import read
from simvtp.errors import DataError


@pytest.fixture(scope="module")
def tokenizer(corpus_name: str) -> Tokenizer:
    return load_tokenizer("corpus", corpus_name)


def training(corpus: Corpus, tokenizer: Tokenizer, **changes: Any) -> TrainLoader:
    settings: dict[str, Any] = {
        "sampling": FrameSampling(8, 1), "size": 48, "crop": "none", "batch": 5, "accumulate": 1, "words": 24,
        "seed": 3, "workers": 0, "cache": True, "augmentation": Augmentation(),
    }  # fmt: skip
    return TrainLoader(corpus, tokenizer, **settings | changes)


def first(loader: TrainLoader, count: int, step: int = 0) -> list[Batch]:
    return list(itertools.islice(loader.batches(step), count))


def same(a: Sequence[Batch], b: Sequence[Batch]) -> bool:
    return len(a) == len(b) and all(
        x.ids == y.ids and torch.equal(x.video, y.video) and torch.equal(x.words, y.words)
        for x, y in zip(a, b, strict=True)
    )


def test_a_batch_holds_videos_with_their_own_captions(corpus_name: str, folder: Path, tokenizer: Tokenizer):
    corpus = load(corpus_name, "train")
    by_id = {sample.video_id: sample for sample in corpus.samples}
    for batch in first(training(corpus, tokenizer), 6):
        assert batch.video.shape == (5, 8, 48, 48, 3)
        assert batch.video.dtype == torch.uint8
        assert batch.words.dtype == torch.int64
        for video, words, video_id in zip(batch.video, batch.words, batch.ids, strict=True):
            assert tokenizer.decode(words.tolist()) in by_id[video_id].captions
            assert torch.equal(video, torch.from_numpy(read(by_id[video_id].path, range(8))))
    assert folder


def test_an_epoch_shows_every_video_once_and_all_captions_come_up(corpus_name: str, tokenizer: Tokenizer):
    loader = training(load(corpus_name, "train"), tokenizer, batch=4)
    assert loader.steps_per_epoch == 4
    batches = first(loader, 4 * 40)
    for epoch in range(40):
        assert len({i for batch in batches[4 * epoch : 4 * epoch + 4] for i in batch.ids}) == 16
    assert batches[0].ids != batches[4].ids
    pairs = {(i, tuple(w.tolist())) for b in batches for i, w in zip(b.ids, b.words, strict=True)}
    texts = {(i, tokenizer.decode(list(words))) for i, words in pairs}
    assert len(texts) == 16 * 5


def test_the_first_caption_is_the_one_of_every_epoch(corpus_name: str, tokenizer: Tokenizer):
    corpus = load(corpus_name, "train")
    first_captions = {sample.video_id: sample.captions[0] for sample in corpus.samples}
    for batch in first(training(corpus, tokenizer, batch=4, captions="first"), 4 * 5):
        for video_id, words in zip(batch.ids, batch.words, strict=True):
            assert tokenizer.decode(words.tolist()) == first_captions[video_id]


def test_by_length_an_epoch_shows_the_same_captions_with_less_padding(corpus_name: str, tokenizer: Tokenizer):
    corpus = load(corpus_name, "train")
    shuffled, sorted_ = (training(corpus, tokenizer, batch=4, order=order) for order in ("shuffled", "lengths"))
    for epoch in range(5):
        shown = [first(loader, 4, step=4 * epoch) for loader in (shuffled, sorted_)]
        texts = [{(i, tokenizer.decode(w.tolist())) for b in batches for i, w in zip(b.ids, b.words, strict=True)}
                 for batches in shown]  # fmt: skip
        assert texts[0] == texts[1]
        longest = [sorted(batch.words.shape[1] for batch in batches) for batches in shown]
        lengths = sorted(int((w != tokenizer.pad).sum()) for b in shown[0] for w in b.words)
        assert longest[1] == lengths[3::4]  # the least that four batches of four can be padded to
        assert sum(longest[1]) <= sum(longest[0])
    assert same(first(sorted_, 5, step=2), first(sorted_, 7)[2:])


@pytest.mark.parametrize(("crop", "augmentation"), [
    ("none", Augmentation()), ("multiscale", Augmentation()), ("resized", Augmentation("m7-n4", "safe", 0.5)),
])  # fmt: skip
def test_a_resume_workers_and_the_cache_change_nothing(
    corpus_name: str, tokenizer: Tokenizer, crop: str, augmentation: Augmentation
):
    corpus = load(corpus_name, "pretrain")
    size = 48 if crop == "none" else 32  # smaller than its box, a file is made small while it is decoded
    whole = first(training(corpus, tokenizer, crop=crop, augmentation=augmentation, size=size), 18)
    assert same(
        first(training(corpus, tokenizer, crop=crop, augmentation=augmentation, size=size), 7, step=11), whole[11:]
    )
    state = torch.get_rng_state()
    ahead = first(
        training(corpus, tokenizer, crop=crop, augmentation=augmentation, size=size, workers=2, cache=False), 5, step=6
    )
    assert same(ahead, whole[6:11])
    assert torch.equal(torch.get_rng_state(), state)
    assert not same(
        first(training(corpus, tokenizer, crop=crop, augmentation=augmentation, size=size, seed=4), 1), whole[:1]
    )


def test_small_while_decoding_is_small_afterwards_up_to_rounding(corpus_name: str, tokenizer: Tokenizer):
    corpus = load(corpus_name, "pretrain")
    cached, decoded = (first(training(corpus, tokenizer, size=32, cache=cache), 4) for cache in (True, False))
    for one, other in zip(cached, decoded, strict=True):
        apart = (one.video.int() - other.video.int()).abs().float()
        assert apart.mean() < 1
        assert one.video.shape == (5, 8, 32, 32, 3)


def test_frames_are_strided_in_pre_training_and_spread_in_fine_tuning(corpus_name: str, tokenizer: Tokenizer):
    corpus = load(corpus_name, "train")
    frames_of = {sample.video_id: torch.from_numpy(read(sample.path, range(8))) for sample in corpus.samples}
    starts = set()
    for batch in first(training(corpus, tokenizer, sampling=FrameSampling(3, 2)), 10):
        for video, video_id in zip(batch.video, batch.ids, strict=True):
            fits = [s for s in range(4) if torch.equal(video, frames_of[video_id][[s, s + 2, s + 4]])]
            assert fits
            starts.update(fits)
    assert starts == {0, 1, 2, 3}
    for batch in first(training(corpus, tokenizer, sampling=FrameSampling(4, 0)), 2):
        for video, video_id in zip(batch.video, batch.ids, strict=True):
            whole = frames_of[video_id]
            assert torch.equal(video, whole[::2]) or torch.equal(video, whole[1::2])


def broken_copy(corpus: Corpus, tmp_path: Path, broken: set[int], count: int) -> Corpus:
    """`count` samples with ids of their own, cycling through the corpus's files; those in `broken` are no videos."""
    samples = []
    for i in range(count):
        path = tmp_path / f"copy{i}.mp4"
        if i in broken:
            path.write_text("not a video")
        else:
            shutil.copy(corpus.samples[i % len(corpus.samples)].path, path)
        samples.append(Sample(f"v{i}", path, (f"{corpus.samples[i % len(corpus.samples)].captions[0]}",)))
    return Corpus("copies", "train", tuple(samples), "none")


def test_a_broken_video_is_replaced_with_its_caption(corpus_name: str, tokenizer: Tokenizer, tmp_path: Path):
    corpus = broken_copy(load(corpus_name, "pretrain"), tmp_path, {7}, 100)
    by_id = {sample.video_id: sample for sample in corpus.samples}
    loader = training(corpus, tokenizer, batch=10, cache=False)
    batches = first(loader, 20)
    assert loader.replaced == 2  # once an epoch
    assert "v7" not in {video_id for batch in batches for video_id in batch.ids}
    for batch in batches:
        for video, words, video_id in zip(batch.video, batch.words, batch.ids, strict=True):
            assert tokenizer.decode(words.tolist()) == by_id[video_id].captions[0]
            assert torch.equal(video, torch.from_numpy(read(by_id[video_id].path, range(8))))
    ahead = training(corpus, tokenizer, batch=10, cache=False, workers=1)
    assert same(first(ahead, 20), batches)
    assert ahead.replaced == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_too_many_broken_videos_stop_the_training(corpus_name: str, tokenizer: Tokenizer, tmp_path: Path, workers: int):
    corpus = broken_copy(load(corpus_name, "pretrain"), tmp_path, {7, 8}, 100)
    with pytest.raises(
        DataError, match=r"2 of 100 videos cannot be decoded, more than data.failures .1.00%.: .*copy[78]\.mp4"
    ) as raised:
        first(training(corpus, tokenizer, batch=10, cache=False, workers=workers), 10)
    assert "Traceback" not in str(raised.value)
    assert len(first(training(corpus, tokenizer, batch=10, cache=False, workers=workers, failures=0.02), 10)) == 10
    with pytest.raises(DataError, match=r"copy7\.mp4"):
        list(gallery(corpus, tokenizer, cache=False, workers=workers).videos())


def test_fewer_videos_than_a_batch(corpus_name: str, tokenizer: Tokenizer):
    with pytest.raises(DataError, match="16 videos are less than one batch of 17"):
        training(load(corpus_name, "train"), tokenizer, batch=17)


def gallery(corpus: Corpus, tokenizer: Tokenizer, **changes: Any) -> GalleryLoader:
    settings: dict[str, Any] = {
        "sampling": FrameSampling(8, 0), "size": 48, "segments": 1, "crops": 1, "batch": 3, "words": 24,
        "workers": 0, "cache": True,
    }  # fmt: skip
    return GalleryLoader(corpus, tokenizer, **settings | changes)


def test_a_gallery_is_whole_and_in_order(corpus_name: str, tokenizer: Tokenizer):
    corpus = load(corpus_name, "test")
    loader = gallery(corpus, tokenizer)
    shapes = [tuple(clips.shape) for clips in loader.videos()]
    assert shapes == [(3, 1, 8, 48, 48, 3), (3, 1, 8, 48, 48, 3), (2, 1, 8, 48, 48, 3)]
    videos = torch.cat(list(loader.videos()))[:, 0]
    for video, sample in zip(videos, corpus.samples, strict=True):
        assert torch.equal(video, torch.from_numpy(read(sample.path, range(8))))
    assert [tokenizer.decode(ids) for ids in loader.captions()] == [s.captions[0] for s in corpus.samples]
    assert loader.owner == list(range(8))
    ahead = torch.cat(list(gallery(corpus, tokenizer, workers=2, cache=False).videos()))
    assert torch.equal(ahead[:, 0], videos)


def test_every_caption_is_a_query(corpus_name: str, tokenizer: Tokenizer):
    loader = gallery(load(corpus_name, "train"), tokenizer)
    assert loader.owner == [video for video in range(16) for _ in range(5)]
    assert len(loader.captions()) == 80


def test_views_are_segments_then_crops(corpus_name: str, tokenizer: Tokenizer):
    corpus = load(corpus_name, "test")
    whole = torch.from_numpy(read(corpus.samples[0].path, range(8)))
    sizes = {"sampling": FrameSampling(4, 0), "segments": 2, "crops": 3}
    assert next(gallery(corpus, tokenizer, **sizes, batch=5).videos()).shape == (1, 6, 4, 48, 48, 3)
    clips = next(gallery(corpus, tokenizer, **sizes, batch=17).videos())
    assert clips.shape == (2, 6, 4, 48, 48, 3)  # whole videos of no more than 17 crops
    for crop in range(3):  # of square frames all crops are the same
        assert torch.equal(clips[0, crop], whole[::2])
        assert torch.equal(clips[0, 3 + crop], whole[1::2])
