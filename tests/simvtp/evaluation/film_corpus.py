"""A corpus of files: a table of films of noise with three captions each, the same words in every split."""

from pathlib import Path

from tests.simvtp.films import film

VIDEOS, CAPTIONS = 8, 3
LETTERS = "abcdefgh"


def film_corpus(folder: Path, counts: dict[str, int] | None = None) -> dict[str, str]:
    """Settings of a short run on a new corpus. counts: videos of train, val and test; None: VIDEOS of each."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, "one", "two", "three"]
    (folder / "vocab.txt").write_text("\n".join(words))
    lines = ["video,caption,split"]
    for split, count in (counts or dict.fromkeys(("train", "val", "test"), VIDEOS)).items():
        for number in range(count):
            film(folder / f"{split}{number}.mp4", number)
            lines += [f"{split}{number}.mp4,{LETTERS[number % 8]} {word},{split}" for word in ("one", "two", "three")]
    (folder / "clips.csv").write_text("\n".join(lines))
    return {
        "data.pretrain": f"csv:{folder}/clips.csv", "data.finetune": f"csv:{folder}/clips.csv",
        "data.tokenizer": f"{folder}/vocab.txt", "pretrain.length": "0 steps", "finetune.length": "2 steps",
        "finetune.warmup": "1 steps", "finetune.batch": "8", "model.frames": "4", "model.size": "16",
        "model.words": "16", "machine.frame_cache": "off", "evaluate.dual_softmax": "on",
    }  # fmt: skip
