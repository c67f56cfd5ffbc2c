"""Text-video retrieval of a fine-tuned run, once, on its test gallery. `python -m simvtp.evaluate --preset tiny`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from simvtp.cli import Parser, add_config_arguments, main
from simvtp.config.code_version import keep
from simvtp.config.experiment import Experiment
from simvtp.config.schema import flatten
from simvtp.data.corpora.registry import EXTRA_TESTS
from simvtp.data.from_config import retrieval_corpus, tokenizer_of
from simvtp.data.resolve import experiment_from
from simvtp.distributed.process_group import decide, joined, leads, owned
from simvtp.errors import ConfigError
from simvtp.evaluation.evaluator import score
from simvtp.evaluation.metrics import recall_interval
from simvtp.evaluation.yardsticks import yardsticks
from simvtp.runtime.environment import describe
from simvtp.runtime.files import read_json, write_json
from simvtp.runtime.log import stdout_console
from simvtp.runtime.signals import stoppable
from simvtp.training.device import use_machine
from simvtp.training.load import dual_encoder


def evaluate(experiment: Experiment) -> Path:
    """result.json of a fine-tuned run, written whole or not at all; an existing one is left as it is.

    Raises ConfigError if the run is not fine-tuned, locks.Busy where another process is at it.
    """
    folder = experiment.dir
    if not decide(lambda: experiment.is_done("evaluate")):
        with owned(folder / "lock"):
            if not decide(lambda: experiment.is_done("evaluate", is_locked=True)):
                _evaluate(experiment)
    return folder / "result.json"


def _evaluate(experiment: Experiment) -> None:
    config, folder = experiment.config, experiment.dir
    if not decide((folder / "finetuned.json").exists):
        raise ConfigError(f"{folder}/finetuned.json is not there: run `python -m simvtp.finetune` first")
    began = time.monotonic()
    device = use_machine(config.machine)
    tokenizer = tokenizer_of(config)
    model = dual_encoder(experiment, tokenizer).to(device)
    found = score(model, experiment, tokenizer, device)
    decide(lambda: write_json(folder / "environment.json", describe(device)))
    result = _record(experiment) | found
    result["metrics"]["validation"] = result.pop("validation")
    result["yardsticks"] = yardsticks(experiment, tokenizer, device)
    result["cost"]["evaluate_seconds"] = round(time.monotonic() - began, 2)
    decide(lambda: keep(experiment.results, result["code"]))
    decide(lambda: write_json(folder / "result.json", result))


def _record(experiment: Experiment) -> dict[str, Any]:
    """Everything in result.json but the results of the test."""
    finetuned = read_json(experiment.dir / "finetuned.json")
    stage = experiment.pretrain_dir
    pretrained = read_json(stage / "stage.json") if stage else None
    cost = {
        "pretrain_seconds": pretrained["seconds"] if pretrained else 0.0,
        "pretrain_steps": pretrained["steps"] if pretrained else 0,
        "pretrain_gflop": pretrained["gflop"] if pretrained else 0.0,
        "finetune_seconds": finetuned["seconds"],
        "device": finetuned["device"],
        "devices": finetuned.get("devices", 1),
    }
    return {
        "version": 1,
        "run": experiment.id,
        "pretrain": experiment.pretrain_id,
        "preset": experiment.preset,
        "config": flatten(experiment.config),
        "code": finetuned.get("code", {}) | {"evaluate": experiment.code("evaluate")["evaluate"]},
        "validation": finetuned["validation"],
        "epoch": finetuned["epoch"],
        "epochs": finetuned["epochs"],
        "losses": pretrained["losses"] if pretrained else {},
        "cost": cost,
        "corpus": {
            "pretrain": pretrained["corpus"] if pretrained else None,
            "pretrain_videos": pretrained["videos"] if pretrained else 0,
            "finetune": finetuned["corpus"],
            "test": retrieval_corpus(experiment.config, "test").fingerprint,
        },
        "replaced": {
            "pretrain": pretrained["replaced"] if pretrained else 0,
            "finetune": finetuned["replaced"],
        },
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def show(result: dict[str, Any]) -> Table:
    """A result as a table for the screen; numbers of plugins in its caption."""
    caption = ["95%: interval of R@1 over test queries, by bootstrap; other seeds are not in it"]
    for name, numbers in result.get("evaluators", {}).items():
        caption.append(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in numbers.items()))
    table = Table(title=f"run {result['run']}: retrieval in percent; ranks from 1", caption="\n".join(caption))
    columns = ("R@1", "R@5", "R@10", "MdR", "MnR")
    for name in ("gallery", "direction", "R@1", "95%", *columns[1:]):
        table.add_column(name, justify="right" if name in columns else "left")
    for split, directions in result["metrics"].items():
        for direction, found in directions.items():
            size = f"{split} ({found['gallery']})"
            first, *others = (f"{found[name]:.1f}" for name in columns)
            table.add_row(size, direction.replace("_", " "), first, _sure(result, split, direction), *others)
    return table


def _sure(result: dict[str, Any], split: str, direction: str) -> str:
    """The interval of R@1, where the ranks of this gallery were kept."""
    if split not in result["ranks"]:
        return ""
    others = {name for names in EXTRA_TESTS.values() for name in names}  # galleries of their own
    owners = result.get("owners") if direction == "text_to_video" and split not in others else None
    low, high = recall_interval(result["ranks"][split][direction], owners)
    return f"[{low:.1f}, {high:.1f}]"


def _main() -> None:
    parser = Parser(prog="python -m simvtp.evaluate", description=__doc__)
    add_config_arguments(parser)
    arguments = parser.parse_args()
    experiment = experiment_from(arguments)
    with joined(experiment.config.machine), stoppable():
        path = evaluate(experiment)
        if leads():
            stdout_console().print(show(read_json(path)))


if __name__ == "__main__":
    main(_main)
