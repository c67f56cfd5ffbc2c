"""One run from config to result.json: pre-train (or reuse), fine-tune, evaluate. `python -m simvtp.run`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from simvtp.cli import add_config_arguments, config_from, main
from simvtp.config.run_dirs import run_folder, write_config
from simvtp.config.schema import Config
from simvtp.distributed.process_group import decide, joined, leads
from simvtp.evaluate import evaluate, show
from simvtp.finetune import finetune
from simvtp.pretrain import pretrain
from simvtp.runtime.files import read_json
from simvtp.runtime.signals import stoppable
from simvtp.training.trainer import stop_if_requested


def run(config: Config, results: Path, preset: str) -> Path:
    """The path of the run's result.json; what is on disk already is not computed again.

    Raises locks.Busy where another live process is at the run or its pre-training stage, and stopping.Interrupted
    after SIGTERM, SIGINT or SIGUSR2, with a checkpoint from which the same call continues.
    """
    with joined(config.machine), stoppable():
        decide(lambda: write_config(run_folder(config, results), config, preset))
        for stage in (pretrain, finetune):
            stage(config, results, preset)
            stop_if_requested()
        return evaluate(config, results, preset)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simvtp.run", description=__doc__)
    add_config_arguments(parser)
    arguments = parser.parse_args()
    config = config_from(arguments)
    with joined(config.machine):
        path = run(config, arguments.results, arguments.preset)
        if leads():
            Console().print(show(read_json(path)))


if __name__ == "__main__":
    main(_main)
