"""Scenes and captions of the embedded corpus: keys, their splits, captions, vocabulary.

A clip shows many objects of one kind over a textured ground. Its key is the information in its captions: the objects'
shape and colour, the ground's colour, and the objects' motion, which no single frame shows. Test and validation keys
are held out: no training clip has these combinations, though training has every shape, colour and motion. All clips are
determined by the spec and its seed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simvtp.errors import DataError, nearest
from simvtp.runtime.constants import SPRITES_VERSION

# Concept -> its words, the commonest first. All words of a kind are distinct, so a caption has one meaning.
SHAPES = {
    "disc": ("discs", "circles", "dots", "balls"),
    "pillar": ("pillars", "posts", "columns", "poles"),
    "slash": ("slashes", "slants", "slopes", "ramps"),
    "backslash": ("backslashes", "backslants", "downslopes", "chutes"),
    "ring": ("rings", "hoops", "loops", "circlets"),
    "bar": ("bars", "sticks", "rods", "planks"),
}
COLOURS = {
    "red": ("red", "scarlet", "crimson", "ruby"),
    "yellow": ("yellow", "golden", "lemon", "mustard"),
    "green": ("green", "emerald", "lime", "olive"),
    "blue": ("blue", "cobalt", "sapphire", "navy"),
    "pink": ("pink", "magenta", "rose", "fuchsia"),
    "white": ("white", "ivory", "snowy", "pale"),
}
MOTIONS = {
    "left": ("leftward", "westward", "leftbound", "leftwards"),
    "right": ("rightward", "eastward", "rightbound", "rightwards"),
    "up": ("upward", "rising", "skyward", "climbing"),
    "down": ("downward", "falling", "earthward", "sinking"),
    "grow": ("growing", "swelling", "expanding", "widening"),
    "shrink": ("shrinking", "dwindling", "contracting", "narrowing"),
    "blink": ("blinking", "flashing", "flickering", "twinkling"),
    "still": ("still", "motionless", "steady", "resting"),
}
# Words that tell nothing about a clip: they make captions longer.
FILLERS = ("here", "now", "again", "today", "clearly", "simply", "just", "indeed")
# Slots: colour, shape and motion of the objects, colour of the ground.
TEMPLATES = (
    "{motion} {first} {shape} on {second}",
    "{first} {shape} {motion} over {second}",
    "on {second} : {motion} {first} {shape}",
    "{second} ground , {first} {shape} {motion}",
    "{shape} in {first} {motion} on {second}",
    "over {second} {first} {shape} , {motion}",
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS_OF_TEMPLATES = ("on", "in", "over", "ground", ":", ",")


@dataclass(frozen=True)
class Key:
    """shape, first, motion: of the objects, first their colour; second: the colour of the ground."""

    shape: str
    first: str
    second: str
    motion: str


def all_keys() -> list[Key]:
    """All 6 x 6 x 5 x 8 = 1440 combinations."""
    return [
        Key(shape, first, second, motion)
        for shape in SHAPES
        for first in COLOURS
        for second in COLOURS
        if second != first
        for motion in MOTIONS
    ]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Size and difficulty of an embedded corpus. Counts are of videos; pixels are of a frame of 48 x 48.

    The redundancy of the video is `share` (share of the frame with information), `objects` and `regularity` (how far
    a part of the frame predicts the others) and `shake` (how far a frame predicts the next one); that of the text is
    `mentions`. At share=1, regularity=1, shake=0 and noise=0 a small part of a clip determines all of it.
    """

    clips: int = 3000  # pre-training
    pretrain_validation: int = 200
    finetune: int = 1536
    validation: int = 400  # unseen keys
    test: int = 400  # unseen keys, none of them in validation
    test_seen: int = 400  # keys that training shows, other renderings
    frames: int = 8
    pixels: int = 48
    captions: int = 5  # of each fine-tuning video
    synonyms: int = 2  # words a concept, up to 4
    templates: int = 4  # up to 6
    share: float = 1.0  # of the frame that shows what the captions tell; the rest are still panels
    objects: int = 16  # objects in a whole frame, all of one kind
    regularity: float = 1.0  # of their places: 1 a lattice, 0 anywhere
    pan: float = 0.0  # speed of the camera over the ground, 1: that of moving objects
    shake: float = 0.3  # pixels, largest shift of a frame by an unsteady camera
    noise: float = 1.0  # grey levels of 255, deviation of each pixel
    mentions: int = 4  # how often a caption names each attribute, each time in words chosen anew
    fillers: int = 0  # words a mention that tell nothing
    seed: int = 0

    def __post_init__(self) -> None:
        held_out, keys = self.validation + self.test, len(all_keys())
        limits: dict[str, tuple[float, float]] = {
            "clips": (1, 10_000_000), "pretrain_validation": (1, 100_000), "finetune": (1, 1_000_000),
            "validation": (1, keys), "test": (1, keys), "test_seen": (1, keys - held_out), "frames": (8, 256),
            "pixels": (16, 512), "captions": (1, 20), "synonyms": (1, 4), "templates": (1, len(TEMPLATES)),
            "share": (0.05, 1), "objects": (1, 36), "regularity": (0, 1), "pan": (0, 1), "shake": (0, 12),
            "noise": (0, 64), "mentions": (1, 6), "fillers": (0, 8), "seed": (0, float("inf")),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value, kind = getattr(self, name), "number" if name in FRACTIONS else "whole number"
            if not low <= value <= high:
                takes = f"a {kind} from {low} to {high}" if high >= low else "fewer validation and test videos"
                raise DataError(f"sprites: {name}={value} is not possible; it takes {takes} ({keys} keys in all)")

    @property
    def digest(self) -> str:
        """Names the corpus folder: equal for equal files, on one version of the encoder."""
        text = json.dumps([SPRITES_VERSION, dataclasses.asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


FRACTIONS = frozenset(("share", "regularity", "pan", "shake", "noise"))  # fields that are no whole numbers
SPECS = {
    "tiny": Spec(),
    "small": Spec(
        clips=40_000, finetune=2048, pretrain_validation=500, frames=16, pixels=96, synonyms=4, templates=6, mentions=2
    ),
}


_WHOLE, _NUMBER = re.compile(r"[0-9]+"), re.compile(r"[0-9]+(\.[0-9]+)?")


def parse_spec(text: str) -> Spec:
    """The spec of "tiny" or "small?share=0.5&seed=1"; raises DataError that offers the nearest name."""
    name, _, changes = text.partition("?")
    if name not in SPECS:
        raise DataError(f"sprites: no corpus named {name!r}; there are {', '.join(SPECS)}{nearest(name, SPECS)}")
    fields = [field.name for field in dataclasses.fields(Spec)]
    values: dict[str, Any] = {}
    for change in filter(None, changes.split("&")):
        field, _, value = change.partition("=")
        if field not in fields:
            raise DataError(f"sprites: unknown field {field!r} in {text!r}{nearest(field, fields)}")
        kind, form = ("number", _NUMBER) if field in FRACTIONS else ("whole number", _WHOLE)
        if not form.fullmatch(value):
            raise DataError(f"sprites: {field}={value!r} in {text!r} is not a {kind}")
        values[field] = float(value) if field in FRACTIONS else int(value)
    return dataclasses.replace(SPECS[name], **values)


def random_of(spec: Spec, *names: int | str) -> np.random.Generator:
    """A generator of its own for every name, so that no clip depends on another."""
    text = "\0".join(map(str, (SPRITES_VERSION, spec.seed, *names)))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def split_keys(spec: Spec) -> dict[str, list[Key]]:
    """Disjoint keys of "test", "val" and "train" (all that are left)."""
    keys = all_keys()
    shuffled = [keys[i] for i in random_of(spec, "keys").permutation(len(keys))]
    held_out = spec.test + spec.validation
    return {"test": shuffled[: spec.test], "val": shuffled[spec.test : held_out], "train": shuffled[held_out:]}


@dataclass(frozen=True)
class Clip:
    """A video to render."""

    video_id: str
    file: str
    key: Key
    captions: tuple[str, ...]


# Part -> first number of its video ids: one series of ids in each of the two layouts.
PARTS = ("pretrain", "pretrain_val", "train", "val", "test", "test_seen")
PAGE = 50


def plan(spec: Spec, only: Sequence[str] = PARTS) -> dict[str, list[Clip]]:
    """Every clip of the corpus by part: pretrain, pretrain_val (WebVid's layout), train, val, test, test_seen.

    only: the parts to make; the others are empty.
    """
    keys = split_keys(spec)
    held_out = keys["val"]
    webvid = {"pretrain": (spec.clips, keys["train"]), "pretrain_val": (spec.pretrain_validation, held_out)}
    msrvtt = {
        "train": (spec.finetune, keys["train"]),
        "val": (spec.validation, keys["val"]),
        "test": (spec.test, keys["test"]),
        "test_seen": (spec.test_seen, keys["train"]),
    }
    parts: dict[str, list[Clip]] = {}
    first = 0
    for part, (count, choice) in webvid.items():
        parts[part] = []
        for number, key in enumerate(_deal(spec, part, choice, count if part in only else 0), first):
            page = number // PAGE * PAGE
            video_id = str(1_000_000 + number)
            file = f"webvid/videos/{page + 1:06d}_{page + PAGE:06d}/{video_id}.mp4"
            parts[part].append(_clip(spec, video_id, file, key, 1))
        first += count
    first = 0
    for part, (count, choice) in msrvtt.items():
        parts[part] = []
        captions = spec.captions if part == "train" else 1
        for number, key in enumerate(_deal(spec, part, choice, count if part in only else 0), first):
            file = f"msrvtt/videos/all/video{number}.mp4"
            parts[part].append(_clip(spec, f"video{number}", file, key, captions))
        first += count
    return parts


def _deal(spec: Spec, part: str, keys: Sequence[Key], count: int) -> Iterator[Key]:
    """`count` keys in random order, each as often as the others: galleries no longer than `keys` repeat none."""
    random = random_of(spec, "deal", part)
    while count > 0:
        for index in random.permutation(len(keys))[:count]:
            yield keys[index]
        count -= len(keys)


def _clip(spec: Spec, video_id: str, file: str, key: Key, captions: int) -> Clip:
    random = random_of(spec, "caption", video_id)
    found: dict[str, None] = {}
    for _ in range(20 * captions):  # distinct ones, as far as the words allow
        found[caption(spec, key, random)] = None
        if len(found) == captions:
            break
    return Clip(video_id, file, key, tuple(found))


def caption(spec: Spec, key: Key, random: np.random.Generator) -> str:
    """One caption of a key: `mentions` sentences, each a template of its own with a synonym in each slot."""
    order = random.permutation(spec.templates)
    return " , ".join(_sentence(spec, key, int(order[i % spec.templates]), random) for i in range(spec.mentions))


def _sentence(spec: Spec, key: Key, template: int, random: np.random.Generator) -> str:
    def choose(words: Sequence[str]) -> str:
        known = words[: spec.synonyms]
        shares = 1 / np.arange(1, len(known) + 1)  # common words are common, as in real text
        return known[int(np.searchsorted(np.cumsum(shares / shares.sum()), random.random()))]

    slots = {"first": COLOURS[key.first], "second": COLOURS[key.second], "shape": SHAPES[key.shape]}
    slots["motion"] = MOTIONS[key.motion]
    words = TEMPLATES[template].format(**{name: choose(words) for name, words in slots.items()}).split()
    for _ in range(spec.fillers):
        words.insert(int(random.integers(len(words) + 1)), FILLERS[random.integers(len(FILLERS))])
    return " ".join(words)


def vocabulary_words(spec: Spec) -> list[str]:
    """Lines of vocab.txt: BERT's special tokens, then every word that a caption of the spec can hold."""
    groups = [*SHAPES.values(), *COLOURS.values(), *MOTIONS.values()]
    words = {word for group in groups for word in group[: spec.synonyms]} | set(WORDS_OF_TEMPLATES)
    return [*SPECIAL, *sorted(words | set(FILLERS if spec.fillers else ()))]
