"""One run from config to result.json: pre-train (or reuse), fine-tune, evaluate. `python -m simvtp.run`."""

from __future__ import annotations

from pathlib import Path

from simvtp.cli import Parser, add_config_arguments, main
from simvtp.config.experiment import Experiment
from simvtp.data.resolve import experiment_from
from simvtp.runtime.files import read_json
from simvtp.runtime.log import stdout_console
from simvtp.runtime.signals import stoppable


def run(experiment: Experiment) -> Path:
    """The path of the run's result.json; what is on disk already is not computed again.

    Raises locks.Busy if another live process is at the run or its pre-training stage, and signals.Interrupted
    after SIGTERM, SIGINT or SIGUSR2, with a checkpoint from which the same call continues.
    """
    from simvtp.distributed.process_group import decide, joined  # these load torch: not for --help
    from simvtp.evaluate import evaluate
    from simvtp.finetune import finetune
    from simvtp.pretrain import pretrain
    from simvtp.training.trainer import stop_if_requested

    with joined(experiment.config.machine), stoppable():
        decide(lambda: experiment.write_config(experiment.dir))
        for stage in (pretrain, finetune):
            stage(experiment)
            stop_if_requested()
        return evaluate(experiment)


def _main() -> None:
    parser = Parser(prog="python -m simvtp.run", description=__doc__)
    add_config_arguments(parser)
    arguments = parser.parse_args()
    experiment = experiment_from(arguments)
    from simvtp.distributed.process_group import joined, leads
    from simvtp.evaluate import show

    with joined(experiment.config.machine):
        path = run(experiment)
        if leads():
            stdout_console().print(show(read_json(path)))


if __name__ == "__main__":
    main(_main)
