"""Command lines that make sense, and how they are damaged (tests/fuzz/command_lines.py gives them to the commands)."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from simvtp.config.presets import preset
from simvtp.config.schema import flatten
from sweeps.catalogue import names, searches
from tests.fuzz.config_values import TEXTS

# What a command may write to is below the folder of the case, also for root: no absolute path, and none upwards.
WORDS = tuple(text for text in TEXTS if not re.search(r"(^|[=:])[/~]|\.\.", text))
PATHS = (
    "results", "empty", "nowhere", "list.csv", "list", "results/runs", "a/b", "results/sweeps", "page.md", "odd.toml",
)  # fmt: skip
CORPORA = (
    "sprites:tiny", "sprites:clips=2", "csv:list.csv", "csv:list", "webvid:nowhere", "msrvtt:empty", "json:list.csv",
    "shards:empty", "csv:list.csv?split=x", "csv:list.csv?train=list.csv", "msvd:results", "lsmdc:", "x:y",
)  # fmt: skip
EXTRA = ("--", "-h", "--watch", "--detach", "-x", "--deep", "--verify", "--=", "-", "--set", "--results=")
PLANNING = ("--dry-run", "--dry-run", "--list", "--status", "--why=base", "--log=base", "--cancel", "--why=<run>")
ENVIRONMENT = {
    "RANK": ("abc", "-1"), "WORLD_SIZE": ("abc", "0"), "LOCAL_RANK": ("x",), "SIMVTP_HUNG_SECONDS": ("-1", "x"),
    "COLUMNS": ("0", "abc", "7"), "SIMVTP_STORAGE": ("x", "sqlite://", "mysql://u:p@127.0.0.1:1/x"),
    "CUDA_VISIBLE_DEVICES": ("", "x"), "TERM": ("dumb",), "PYTHONPATH": ("nowhere",),
}  # fmt: skip


@dataclass(frozen=True)
class Spec:
    """A command: its module, its words without a dash, its options with values that make sense, or with none.

    share: how often it comes, beside once for the others. trains: name of the function that would train.
    """

    module: str
    words: Sequence[Sequence[str]] = ()
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    share: int = 1
    trains: str = ""


CONFIG = {
    "--preset": ("tiny", "tiny", "small", "base", "bas"), "--set": ("<set>",), "--results": PATHS, "--tag": ("a", ""),
    "--redo": (), "--reuse-other-code": (),
}  # fmt: skip
SWEEP = {
    **CONFIG, "--seeds": ("0", "1", "0,1", "0,0", "-1"), "--jobs": ("1", "2", "0"), "--pack": ("2", "1"),
    "--cluster": ("auto", "local", "debug", "slurm", "odd.toml", "a.toml"), "--retry": ("failed", "lost"),
    "--vary": ("mask.video=0.5,0.75", "mask.kind=tube,frame", "mask.video=2", "seed=1,2", "x=1"), "--zip": (),
    "--name": ("mine", "a/b"), "--scalars": ("tensorboard", "wandb", "both"),
    "--hung-after": ("1", "0", "-1", "nan", "inf"),
}  # fmt: skip
SEARCH = {
    "--trials": ("2", "9", "0"), "--rungs": ("1/9,1", "1", "1/2,1", "1/0,1", "2,1"), "--budget": ("length", "data"),
    "--over": ("mask.video", "mask.video,pretrain.lr", "seed"), "--storage": ("sqlite:///x.db", "x"),
}  # fmt: skip
ONLY = {"--only": ("objectives", "objectives-tiny", "search", "x")}
COST = {"--cost": ("time", "operations")}
SPECS = (
    Spec("sweeps.run", ((*names(), "odd.py", "list.csv"),), SWEEP, share=8),
    Spec("sweeps.run", (searches(),), {**SWEEP, **SEARCH}, share=4),
    Spec("simvtp.run", (), CONFIG, share=3, trains="run"), Spec("simvtp.pretrain", (), CONFIG, trains="pretrain"),
    Spec("simvtp.finetune", (), CONFIG, trains="finetune"), Spec("simvtp.evaluate", (), CONFIG, trains="evaluate"),
    Spec("simvtp.config.__main__", (("show",), ("tiny", "base")), {"--set": ("<set>",)}),
    Spec("simvtp.publish", (PATHS,), {"--to": PATHS}),
    Spec("simvtp.search", (("a dog",),), {
        "--videos": PATHS, "--model": PATHS, "--top": ("3", "0"), "--sheet": ("a.png", "b"),
    }),
    Spec("simvtp.data.check", (CORPORA,), {"--list": PATHS, "--sheet": PATHS, "--seconds": ("1", "-1", "nan", "1e99")}),
    Spec("simvtp.data.prepare", (CORPORA,), {
        "--out": PATHS, "--short-side": ("64", "1"), "--fps": ("1", "-1", "nan", "inf"), "--keys": ("4", "0"),
        "--quality": ("23", "99"), "--seconds": ("1", "-1"), "--retry": (),
    }),
    Spec("simvtp.data.pack", (CORPORA,), {"--out": PATHS, "--megabytes": ("1", "0", "nan", "inf"), "--skip": PATHS}),
    Spec("simvtp.probe", (PATHS,), {"--data": CORPORA, "--head": ("linear", "x"), "--out": PATHS}),
    Spec("simvtp.data.vocabulary", (CORPORA,), {"--out": PATHS, "--words": ("99", "0"), "--least": ("1", "0")}),
    Spec("simvtp.training.trackers", (PATHS,), {"--to": ("tensorboard", "x")}),
    Spec("analysis.plot", (PATHS,), {**ONLY, **COST, "--against": PATHS, "--format": ("svg",), "--output": PATHS}),
    Spec("analysis.table", (PATHS,), {**ONLY, "--wanted": ("1", "nan", "0", "101"), "--output": PATHS}),
    Spec("analysis.report", (PATHS,), {**ONLY, **COST, "--output": PATHS}),
    Spec("analysis.document", (PATHS,), {**ONLY, "--page": PATHS, "--check": ()}),
    Spec("analysis.compare", (("<run>", *PATHS), ("<run>", *PATHS)), {"--results": PATHS, "--output": PATHS}),
    Spec("analysis.reconstruct", (("<run>", *PATHS),), {
        "--results": PATHS, "--split": ("val",), "--clips": ("1", "0"), "--ratio": ("0.5", "2"), "--out": PATHS,
    }),
)  # fmt: skip


def value_for(usual: Sequence[str], dice: random.Random, runs: Sequence[str]) -> str:
    """One of the values that make sense; one in ten times another text. runs: ids that are there."""
    if dice.random() < 0.1:
        return dice.choice(WORDS)
    value = dice.choice(usual)
    if value == "<set>":
        known = flatten(preset("tiny"))
        path = dice.choice(list(known))
        corpora = path in ("data.pretrain", "data.finetune")
        return f"{path}={dice.choice(CORPORA if corpora else (str(known[path]), '1', '20 steps', dice.choice(WORDS)))}"
    return value.replace("<run>", dice.choice(runs)[: dice.choice((1, 4, 12))])


def line_of(spec: Spec, dice: random.Random, runs: Sequence[str]) -> list[str]:
    """A command line, perhaps damaged; of a sweep or search always one that plans."""
    words = [value_for(usual, dice, runs) for usual in spec.words if dice.random() < 0.95]
    for option in dice.sample(list(spec.options), min(len(spec.options), dice.randrange(5))):
        value = value_for(spec.options[option], dice, runs) if spec.options[option] else None
        words += [option] if value is None else [f"{option}={value}"] if dice.random() < 0.5 else [option, value]
    if dice.random() < 0.25 and words:
        words = damaged(words, dice)
    if spec.module == "sweeps.run":
        planning = dice.choice(PLANNING).replace("<run>", dice.choice(runs))
        if planning == "--status":
            words = [word for word in words if not word.startswith("--w")]  # --watch goes on until Ctrl-C
        words.append(planning)
    return words


def damaged(words: list[str], dice: random.Random) -> list[str]:
    """One word left out, doubled, moved, cut, or put in from elsewhere."""
    place, way, made = dice.randrange(len(words)), dice.randrange(6), list(words)
    if way == 0:
        del made[place]
    elif way == 1:
        made.insert(place, made[place])
    elif way == 2:
        dice.shuffle(made)
    elif way == 3:
        made.insert(place, dice.choice(WORDS))
    elif way == 4:
        made[place] = made[place][: dice.randrange(len(made[place]) + 1)]
    else:
        made.insert(place, dice.choice(EXTRA))
    return made
