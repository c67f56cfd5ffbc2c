"""Command-line options of sweeps/run.py, and the sweep that --vary describes."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from simvtp.cli import Parser, add_config_arguments
from simvtp.config.fields import Field
from simvtp.config.schema import FIELDS
from simvtp.errors import ConfigError
from sweeps.catalogue import check_name, is_ablation
from sweeps.definition import Sweep, grid, in_order, known_field, name_of, paired

SEARCH_OPTIONS = ("trials", "rungs", "budget", "over", "sampler", "storage")
EPILOG = "exit codes: 0 all done; 1 some runs failed; 2 bad input; 130 interrupted"


def parser() -> argparse.ArgumentParser:
    """Every option of the command."""
    made = Parser(prog="python sweeps/run.py", description=DESCRIPTION, epilog=EPILOG)
    made.add_argument("sweep", nargs="?", help="a name that --list shows, or a file of your own, such as my_study.py")
    _add_vary(made)
    add_config_arguments(made)
    made.add_argument("--seeds", default="0", metavar="0,1,2", help="seeds of every point (0)")
    made.add_argument(
        "--cluster", default="auto", metavar="WHERE", help="auto, local, debug, slurm, or a file in clusters/ (auto)"
    )
    made.add_argument("--jobs", type=int, metavar="N", help="runs at once (here: cores / threads of a run)")
    made.add_argument("--pack", type=int, metavar="N", help="runs side by side on one GPU, or in one job of SLURM (1)")
    _add_search(made)
    made.add_argument(
        "--scalars", metavar="KINDS", help="where else to show curves: tensorboard, trackio, mlflow, wandb"
    )
    made.add_argument(
        "--hung-after",
        type=float,
        metavar="MINUTES",
        help="kill and retry a job without a step for so long (30)",
    )
    _add_actions(made)
    return made


DESCRIPTION = (
    "Run a named ablation: `python sweeps/run.py mask_ratio`. The same command goes on after any interruption."
)


def _add_vary(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--vary", action="append", default=[], metavar="FIELD=A,B", help="instead of a name: every combination of the "
        "values of these fields, such as --vary mask.video=0.5,0.75 --vary pretrain.lr=3e-3,6e-3",
    )  # fmt: skip
    made.add_argument("--zip", action="store_true", help="with --vary: first values together, second ones together ...")
    made.add_argument("--name", metavar="NAME", help="with --vary: what the sweep is called from then on")


def _add_search(made: argparse.ArgumentParser) -> None:
    made.add_argument("--trials", type=int, metavar="N", help="of a search: points to try in all (40)")
    made.add_argument("--rungs", metavar="SHARES", help="of a search: budgets at which to prune (1/9,1/3,1)")
    made.add_argument("--budget", choices=["length", "data"], help="of a search: what the shares are of (length)")
    made.add_argument("--over", metavar="KEYS", help="of a search: only these of its fields, with commas")
    made.add_argument("--sampler", metavar="NAME", help="of a search: tpe, joint_tpe or random (as its file says)")
    made.add_argument(
        "--storage",
        metavar="URL",
        help="of a search: a database (or $SIMVTP_STORAGE)",
    )


def _add_actions(made: argparse.ArgumentParser) -> None:
    alone = made.add_mutually_exclusive_group()
    alone.add_argument("--dry-run", action="store_true", help="check, print every run and what would start, and end")
    alone.add_argument("--list", action="store_true", help="print the sweeps, and end")
    alone.add_argument("--status", action="store_true", help="print what became of every run, and end")
    made.add_argument("--watch", action="store_true", help="with --status: again and again, until Ctrl-C")
    made.add_argument("--detach", action="store_true", help="go on in the background, also after a logout")
    made.add_argument("--retry", choices=["failed", "lost"], help="try failed runs again, or those whose jobs vanished")
    alone.add_argument("--log", metavar="RUN", help="print the output of a run's last job, and follow it")
    alone.add_argument("--why", metavar="RUN", help="what a run differs in, what became of its jobs, why it failed")
    alone.add_argument(
        "--cancel", metavar="RUN", nargs="?", const="all", help="end one run, or all of the sweep that are not done"
    )


def check(arguments: argparse.Namespace) -> None:
    """Raise ConfigError for options that do not go together, or a count below 1."""
    if arguments.watch and not arguments.status:
        raise ConfigError("--watch: it goes with --status, and starts nothing; without both the sweep starts")
    for name in ("jobs", "pack", "trials"):
        if (count := getattr(arguments, name)) is not None and count < 1:
            raise ConfigError(f"--{name} {count}: it takes a whole number from 1")
    if arguments.hung_after is not None and not 0 <= arguments.hung_after < float("inf"):
        raise ConfigError(f"--hung-after {arguments.hung_after:g}: it takes minutes, such as 30, or 0 for no limit")
    if arguments.vary and arguments.sweep is not None:
        raise ConfigError(f"--vary: it makes a sweep of its own, beside {arguments.sweep}; leave one of the two out")
    for name in ("zip", "name"):
        if getattr(arguments, name) and not arguments.vary:
            raise ConfigError(f"--{name}: it goes with --vary")


def seeds_of(text: str) -> tuple[int, ...]:
    """ "0,1,2" -> (0, 1, 2); raises ConfigError."""
    try:
        seeds = tuple(int(part) for part in text.split(","))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds {text!r}: write different whole numbers from 0 with commas, such as 0,1,2")
    return seeds


_COMMAS = (
    "values stand between commas, without brackets; a value that has a comma itself goes into double quotes, such as "
    """--vary 'data.skip="a,b.txt",c.txt'"""
)


def parse_vary(texts: Sequence[str], *, in_pairs: bool = False, name: str | None = None) -> tuple[str, Sweep]:
    """The name and content of a sweep over the fields and values of --vary.

    texts: of each --vary, such as "mask.video=0.5,0.75". in_pairs: a point of the first values, one of the second
    values, and so on, instead of every combination. name: of the sweep's results; None: made of the fields and a digest
    of the values. Fields and numbers are sorted, so the order on the command line does not matter.
    Raises ConfigError that names the field.
    """
    typed: dict[str, list[Any]] = {}
    for text in texts:
        key, equals, values = text.partition("=")
        if not equals:
            raise ConfigError(f"--vary {text!r}: write it as field=value,value, such as mask.video=0.5,0.75,0.9")
        key = _variable(key.strip())
        if key in typed:
            raise ConfigError(f"--vary {key}: it is there twice; give all values in one, with commas")
        typed[key] = _values(FIELDS[key], values)
    axes = {key: typed[key] if in_pairs else _sorted(FIELDS[key], typed[key]) for key in in_order(typed)}
    if in_pairs and len(axes) < 2:
        raise ConfigError("--zip: it pairs the values of several fields; give a second --vary")
    try:
        points = paired(axes) if in_pairs else grid(axes)
    except ConfigError as error:
        raise ConfigError(f"--zip: {error}") from error
    words = [FIELDS[key].axis for key in axes]
    title = f"{words[0][:1].upper()}{words[0][1:]}" + "".join(f" {'with' if in_pairs else 'by'} {w}" for w in words[1:])
    if name is None:
        content = json.dumps([axes, in_pairs], sort_keys=True)
        labels = [name_of(key, axes).replace(" ", "_") for key in axes]
        name = f"{'-'.join(labels)}-{hashlib.sha256(content.encode()).hexdigest()[:6]}"
    elif is_ablation(name):
        raise ConfigError(f"--name {name}: sweeps/ablations/ has a sweep of that name; take another")
    check_name(name, "--name: folders are called after it")
    return name, Sweep(title, axes=tuple(axes), points=points)


def _variable(key: str) -> str:
    """The key of a field that is part of a run's id; raises ConfigError for others."""
    try:
        field = FIELDS[known_field(key)]
    except ConfigError as error:
        raise ConfigError(f"--vary: {error}") from error
    if key == "seed":
        raise ConfigError("--vary seed: every point is trained with each seed of --seeds; give them there")
    if not field.in_id:
        raise ConfigError(f"--vary {key}: it changes no result, so all points would be one run; take it with --set")
    return key


def _values(field: Field, text: str) -> list[Any]:
    try:
        (parts,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):
        raise ConfigError(f"--vary {field.path}={text}: {_COMMAS}") from None
    if not parts:
        raise ConfigError(f"--vary {field.path}: it has no value; write {field.path}=value,value")
    if text.lstrip()[:1] in ("[", "(", "{"):
        raise ConfigError(f"--vary {field.path}={text}: {_COMMAS}")
    values: list[Any] = []
    for part in parts:
        try:
            value = field.normal(part.strip())
        except ConfigError as error:
            hint = f" ({_COMMAS})" if field.kind is str and not field.choices and len(parts) > 1 else ""
            raise ConfigError(f"--vary {error}{hint}") from error
        if value in values:
            raise ConfigError(f"--vary {field.path}: {field.show(value)} is there twice")
        values.append(value)
    return values


def _sorted(field: Field, values: list[Any]) -> list[Any]:
    """Numbers by size, choices in the order of the schema (those of plugins last), other text as given."""
    if field.choices:
        return sorted(values, key=lambda value: [*field.choices, value].index(value))
    return values if field.kind is str else sorted(values)
