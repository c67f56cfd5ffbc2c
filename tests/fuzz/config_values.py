"""Random and damaged config values: `python -m tests.fuzz.config_values --count 10000`.

The cases take turns: text typed for one field, as --set gives it; values of any type for one field, as sweeps and JSON
give them; `python -m simvtp.config show` with a few settings; a damaged config.json. A result is a config, or an error
of at most 2,000 characters that names the field or file (ConfigError, DataError). A config that was accepted has values
of the fields' types, is the same when it is typed or read once more, and has ids. Anything else is printed with its
number, and makes the exit code 1. A case depends on its number alone, so `--first N --count 1` runs it again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from simvtp.config import __main__ as show
from simvtp.config.experiment import read_config
from simvtp.config.presets import PRESETS, preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import FIELDS, Config, flatten, override, unflatten
from simvtp.errors import ConfigError, DataError
from tests.fuzz.annotations import damage, damage_value
from tests.fuzz.harness import HOSTILE, Counts, call

SECONDS = 10
LONGEST = 2000  # characters of a message
TEXTS: tuple[str, ...] = (
    *HOSTILE, "0", "-0", "-0.0", "+0", "1e-400", "1e-5", "5e-324", "1e999999999", "-inf", "NaN", "0x10", "1_000", "1,5",
    "1.", ".5", " 7 ", "٣", "½", "²", "1e3", "true", "FALSE", "None", "null", "9" * 400, "9" * 5000, "2" * 13, "1 2",
    str(2**53 + 1), str(2**63), "600 steps", "400steps", "2.5 EPOCHS", "0 epochs", "0.5 steps", "1e2 steps", "steps",
    "-1 epochs", "8x14x14", "8 X 14 x 14", "0x1x1", "8x14", "m7-n4", "m11-n1", "m7.50-n04", "auto", "Tube", "tube ",
    "masked", "sprites:tiny", "sprites:clips=3", "sprites:9:9", "csv:", ":", "a:b:c", "~nosuchuser/x", "\udcff", "\x7f",
    "a=b", "=", "#" * 13, "/dev/null", "/proc/self/mem", "\n", "\t", "\u00a0", "'", '"', "$HOME", "%s", "{}", "{0}",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**53 + 1, 2**63, 10**400, -0.0, 0.5, 1.5, 1e-320, 1e308, float("inf"),
    float("nan"), [], [1], {}, {"a": 1}, [[]], ("a",), b"x", 1j, Path("x"), object, *TEXTS,
)  # fmt: skip


def text_for(known: Any, dice: random.Random) -> str:
    """A value that the field has, its text damaged, or another text."""
    if dice.random() < 0.4:
        return dice.choice(TEXTS)
    letters = list(str(known))
    for _ in range(dice.randrange(4)):
        place = dice.randrange(len(letters) + 1)
        kind = dice.randrange(4)
        if kind == 0:
            letters[place:place] = dice.choice(("0", "9", " ", ".", "-", "e", "_", "x", "\x1b", "[", "é", "\udc80"))
        elif kind == 1:
            del letters[place : place + 1]
        elif kind == 2:
            letters[place:place] = letters[place : place + 3] * dice.randrange(1, 4)
        else:
            letters = [letter.upper() for letter in letters]
    return "".join(letters)


def judge_config(config: Config) -> None:
    """Raises AssertionError if an accepted config is not what it should be."""
    values = flatten(config)
    for path, value in values.items():
        assert type(value) is FIELDS[path].kind, f"{path} is {value!r}"
    assert unflatten(json.loads(json.dumps(values))) == config, "JSON gives another config"
    assert override(config, {path: str(value) for path, value in values.items()}) == config, "typing gives another"
    try:
        ids = run_id(config), pretrain_id(config)
    except ConfigError as error:  # a file that is not there, or a corpus whose digest is not known yet
        judge_message(error, "model.init", "data.")
        return
    assert len(ids[0]) == 12
    assert ids[1] is None or len(ids[1]) == 12


def judge_message(error: Exception, *names: str) -> None:
    """Raises AssertionError if a message is none for a person."""
    text = str(error)
    assert 0 < len(text) <= LONGEST, f"a message of {len(text)} characters: {text[:200]}"
    assert any(name in text for name in names), f"it names none of {names}: {text}"


def typed(dice: random.Random, number: int) -> str:
    """One field, as --set gives it."""
    path = list(FIELDS)[number % len(FIELDS)]
    base = preset(dice.choice(list(PRESETS)))
    return _override(base, path, text_for(flatten(base)[path], dice))


def given(dice: random.Random, number: int) -> str:
    """One field, as a sweep's file or JSON gives it."""
    path = list(FIELDS)[number % len(FIELDS)]
    return _override(preset(dice.choice(list(PRESETS))), path, dice.choice(VALUES))


def _override(base: Config, path: str, value: Any) -> str:
    try:
        config = override(base, {path: value})
    except ConfigError as error:
        judge_message(error, path.partition(".")[0])
        return "refused"
    judge_config(config)
    return "accepted"


def shown(dice: random.Random, number: int) -> str:  # noqa: ARG001
    """The command, with one to three settings, of which names may be damaged too."""
    base = preset(dice.choice(list(PRESETS)))
    words = ["show", dice.choice((*PRESETS, dice.choice(TEXTS)) if dice.random() < 0.1 else tuple(PRESETS))]
    for _ in range(dice.randrange(1, 4)):
        path = dice.choice(list(FIELDS))
        name = text_for(path, dice) if dice.random() < 0.1 else path
        words.append(f"--set={name}={text_for(flatten(base)[path], dice)}")
    words = [word for word in words if not word.startswith("-") or "=" in word]
    code, errors = call(lambda: show.main(words))
    assert code in (0, 2), f"code {code}: {errors}"
    assert (code == 2) == errors.startswith("error: "), errors
    assert len(errors) <= LONGEST + 8, f"a message of {len(errors)} characters: {errors[:200]}"
    return f"show: code {code}"


def from_disk(dice: random.Random, number: int) -> str:  # noqa: ARG001
    """A damaged config.json."""
    content: Any = {"preset": "tiny", "config": flatten(preset(dice.choice(list(PRESETS))))}
    way = dice.randrange(4)
    if way == 0:
        content = damage_value(content, dice)
    else:
        for _ in range(way):
            values = content["config"]
            path = dice.choice(list(values))
            if dice.random() < 0.3:
                del values[path]
            elif dice.random() < 0.2:
                values[text_for(path, dice)] = values.pop(path)
            else:
                values[path] = dice.choice([value for value in VALUES if not callable(value) and _is_json(value)])
    text = json.dumps(content).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        path.write_bytes(damage(text, dice) if dice.random() < 0.3 else text)
        try:
            config, _ = read_config(Path(folder))
        except (ConfigError, DataError) as error:
            judge_message(error, str(path))
            return "config.json: refused"
    judge_config(config)
    return "config.json: read"


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True


KINDS = (typed, given, shown, from_disk)


def fuzz(first: int, count: int) -> Counts:
    """Cases `first` to `first + count`."""
    counts = Counts()
    for number in range(first, first + count):
        kind = KINDS[number % len(KINDS)]
        dice = random.Random(f"config {number}")
        counts.judge(f"case {number}", lambda: kind(dice, number // len(KINDS)), SECONDS)  # noqa: B023 (called at once)
        counts.cases += 1
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.config_values", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="cases (10000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (0)")
    arguments = parser.parse_args()
    return fuzz(arguments.first, arguments.count).report()


if __name__ == "__main__":
    sys.exit(main())
