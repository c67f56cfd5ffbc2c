"""What the clips of the embedded corpus show and say: keys, their splits, captions, vocabulary.

A clip's key is all that its captions tell: shape, colour, another colour that it switches to half-way, and motion; so
no single frame gives it away. Test and validation keys are held out: no training clip shows these combinations, though
it shows every shape, colour and motion. Everything follows from the spec and its seed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from simvtp.errors import DataError, nearest

# Raised when the same spec gives other files.
VERSION = 2

# Concept -> its words, the commonest first. All words of a kind are distinct, so a caption has one meaning.
SHAPES = {
    "disc": ("disc", "circle", "dot", "ball"),
    "square": ("square", "box", "block", "cube"),
    "triangle": ("triangle", "wedge", "pyramid", "cone"),
    "cross": ("cross", "plus", "crossing", "x"),
    "ring": ("ring", "hoop", "loop", "circlet"),
    "bar": ("bar", "stick", "rod", "plank"),
}
COLOURS = {
    "red": ("red", "scarlet", "crimson", "ruby"),
    "orange": ("orange", "tangerine", "amber", "apricot"),
    "yellow": ("yellow", "lemon", "golden", "mustard"),
    "green": ("green", "emerald", "lime", "olive"),
    "cyan": ("cyan", "turquoise", "aqua", "teal"),
    "blue": ("blue", "navy", "sapphire", "cobalt"),
    "pink": ("pink", "magenta", "rose", "fuchsia"),
    "white": ("white", "ivory", "snowy", "pale"),
}
TRAVEL = ("moves", "slides", "glides", "drifts")
RESIZE = ("gets", "becomes", "appears", "looks")
PERSIST = ("keeps", "stays", "remains", "is")
MOTIONS = {
    "left": (TRAVEL, ("left", "leftward", "leftwards", "westward")),
    "right": (TRAVEL, ("right", "rightward", "rightwards", "eastward")),
    "up": (TRAVEL, ("up", "upward", "upwards", "skyward")),
    "down": (TRAVEL, ("down", "downward", "downwards", "earthward")),
    "grow": (RESIZE, ("bigger", "larger", "wider", "huger")),
    "shrink": (RESIZE, ("smaller", "tinier", "littler", "slighter")),
    "blink": (PERSIST, ("blinking", "flashing", "flickering", "twinkling")),
    "still": (PERSIST, ("still", "motionless", "steady", "unmoving")),
}
SWITCH = ("turns", "changes", "switches", "shifts")
BESIDE = ("beside", "near", "by", "with")
# Slots: article, first colour, shape, verb of switching, second colour, motion (two words).
# Each attribute is named twice, in words chosen anew: at a text ratio of 75% something of most attributes is left.
TEMPLATES = (
    "{a} {first} {shape} {switch} to {second} and {motion}: the {shape2} is {first2}, then {second2}, and {motion2}",
    "{a} {shape} {motion}: the {first} {shape2} {switch} to {second} and {motion2}, "
    "{first2} at first, {second2} at last",
    "{a} {first} then {second} {shape} {motion}: the {shape2} is {first2}, {switch} to {second2} and {motion2}",
    "{a} {shape} {switch} from {first} to {second} and {motion}: {a} {first2} {shape2}, {second2} at last, {motion2}",
    "{a} {first} {shape} {motion} and {switch} to {second}: {first2}, then {second2}, the {shape2} {motion2}",
    "we see {a} {first} {shape} that {switch} to {second} while it {motion}: "
    "the {shape2} {motion2}, {first2} then {second2}",
)
ARTICLES = ("a", "the", "one", "this")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS_OF_TEMPLATES = (
    "an",
    "to",
    "and",
    "as",
    "it",
    "then",
    "from",
    "we",
    "see",
    "that",
    "while",
    "the",
    "is",
    "at",
    "first",
    "last",
    ":",
    ",",
)


@dataclass(frozen=True)
class Key:
    shape: str
    first: str
    second: str
    motion: str


def all_keys() -> list[Key]:
    """All 6 x 8 x 7 x 8 = 2688 combinations."""
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
    """Size and difficulty of an embedded corpus. Counts are of videos."""

    clips: int = 7500  # pre-training
    pretrain_validation: int = 200
    finetune: int = 512
    validation: int = 400  # unseen keys
    test: int = 800  # unseen keys, none of them in validation
    test_seen: int = 500  # keys that training shows, other renderings
    frames: int = 8
    pixels: int = 48
    objects: int = 1  # 2: another, plain and still object that the caption names as well
    captions: int = 5  # of each fine-tuning video
    synonyms: int = 4  # words a concept
    templates: int = 4  # up to 6
    seed: int = 0

    def __post_init__(self) -> None:
        held_out, keys = self.validation + self.test, len(all_keys())
        limits: dict[str, tuple[int, float]] = {
            "clips": (1, 10_000_000), "pretrain_validation": (1, 100_000), "finetune": (1, 1_000_000),
            "validation": (1, keys), "test": (1, keys), "test_seen": (1, keys - held_out), "frames": (8, 256),
            "pixels": (16, 512), "objects": (1, 2), "captions": (1, 20), "synonyms": (1, 4),
            "templates": (1, len(TEMPLATES)), "seed": (0, float("inf")),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                takes = f"a whole number from {low} to {high}" if high >= low else "fewer validation and test videos"
                raise DataError(f"sprites: {name}={value} is not possible; it takes {takes} ({keys} keys in all)")

    @property
    def digest(self) -> str:
        """Names the corpus folder: equal for equal files, on one version of the encoder."""
        text = json.dumps([VERSION, dataclasses.asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


SPECS = {
    "tiny": Spec(),
    "small": Spec(clips=40_000, finetune=2048, pretrain_validation=500, frames=16, pixels=96, templates=6),
}


def parse_spec(text: str) -> Spec:
    """The spec of "tiny" or "small?clips=300&seed=1"; raises DataError that offers the nearest name."""
    name, _, changes = text.partition("?")
    if name not in SPECS:
        raise DataError(f"sprites: no corpus named {name!r}; there are {', '.join(SPECS)}{nearest(name, SPECS)}")
    fields = [field.name for field in dataclasses.fields(Spec)]
    values = {}
    for change in filter(None, changes.split("&")):
        field, _, value = change.partition("=")
        if field not in fields:
            raise DataError(f"sprites: unknown field {field!r} in {text!r}{nearest(field, fields)}")
        if not value.isascii() or not value.isdigit():
            raise DataError(f"sprites: {field}={value!r} in {text!r} is not a whole number")
        values[field] = int(value)
    return dataclasses.replace(SPECS[name], **values)


def random_of(spec: Spec, *names: int | str) -> np.random.Generator:
    """A generator of its own for every name, so that no clip depends on another."""
    text = "\0".join(map(str, (VERSION, spec.seed, *names)))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def split_keys(spec: Spec) -> dict[str, list[Key]]:
    """Disjoint keys of "test", "val" and "train" (all that are left)."""
    keys = all_keys()
    shuffled = [keys[i] for i in random_of(spec, "keys").permutation(len(keys))]
    held_out = spec.test + spec.validation
    return {"test": shuffled[: spec.test], "val": shuffled[spec.test : held_out], "train": shuffled[held_out:]}


@dataclass(frozen=True)
class Clip:
    """A video to render. `beside`: shape and colour of the second object, where there is one."""

    video_id: str
    file: str
    key: Key
    beside: tuple[str, str] | None
    captions: tuple[str, ...]


# Part -> first number of its video ids: one series of ids in each of the two layouts.
PARTS = ("pretrain", "pretrain_val", "train", "val", "test", "test_seen")
PAGE = 50


def plan(spec: Spec) -> dict[str, list[Clip]]:
    """Every clip of the corpus by part: pretrain, pretrain_val (WebVid's layout), train, val, test, test_seen."""
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
    number = 0
    for part, (count, choice) in webvid.items():
        parts[part] = []
        for key in _deal(spec, part, choice, count):
            page = number // PAGE * PAGE
            video_id = str(1_000_000 + number)
            file = f"webvid/videos/{page + 1:06d}_{page + PAGE:06d}/{video_id}.mp4"
            parts[part].append(_clip(spec, video_id, file, key, 1))
            number += 1
    number = 0
    for part, (count, choice) in msrvtt.items():
        parts[part] = []
        for key in _deal(spec, part, choice, count):
            captions = spec.captions if part == "train" else 1
            file = f"msrvtt/videos/all/video{number}.mp4"
            parts[part].append(_clip(spec, f"video{number}", file, key, captions))
            number += 1
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
    beside = None
    if spec.objects == 2:
        shapes = [shape for shape in SHAPES if shape != key.shape]
        beside = (shapes[random.integers(len(shapes))], list(COLOURS)[random.integers(len(COLOURS))])
    found: dict[str, None] = {}
    for _ in range(20 * captions):  # distinct ones, as far as the words allow
        found[caption(spec, key, beside, random)] = None
        if len(found) == captions:
            break
    return Clip(video_id, file, key, beside, tuple(found))


def caption(spec: Spec, key: Key, beside: tuple[str, str] | None, random: np.random.Generator) -> str:
    """One caption of a key: a template, and a synonym in each of its slots."""

    def choose(words: Sequence[str]) -> str:
        known = words[: spec.synonyms]
        shares = 1 / np.arange(1, len(known) + 1)  # common words are common, as in real text
        return known[int(np.searchsorted(np.cumsum(shares / shares.sum()), random.random()))]

    verbs, ways = MOTIONS[key.motion]
    slots = {"first": COLOURS[key.first], "second": COLOURS[key.second], "shape": SHAPES[key.shape]}
    words_of = {name + again: choose(words) for name, words in slots.items() for again in ("", "2")}
    motions = {f"motion{again}": f"{choose(verbs)} {choose(ways)}" for again in ("", "2")}
    template = TEMPLATES[random.integers(spec.templates)]
    text = template.format(a=choose(ARTICLES), switch=choose(SWITCH), **words_of, **motions)
    if beside:
        shape, colour = beside
        text += f" {choose(BESIDE)} {choose(ARTICLES)} {choose(COLOURS[colour])} {choose(SHAPES[shape])}"
    words = text.split()
    for place in range(len(words) - 1):
        if words[place] == "a" and words[place + 1][0] in "aeiou":
            words[place] = "an"
    return " ".join(words)


def vocabulary_words(spec: Spec) -> list[str]:
    """Lines of vocab.txt: BERT's special tokens, then every word that a caption of the spec can hold."""
    groups = [ARTICLES, SWITCH, *SHAPES.values(), *COLOURS.values()]
    for verbs, ways in MOTIONS.values():
        groups += [verbs, ways]
    if spec.objects == 2:
        groups.append(BESIDE)
    words = {word for group in groups for word in group[: spec.synonyms]} | set(WORDS_OF_TEMPLATES)
    return [*SPECIAL, *sorted(words)]
