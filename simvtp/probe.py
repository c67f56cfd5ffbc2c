"""Clips classified by frozen features, a second number beside R@1. `python -m simvtp.probe FOLDER [FOLDER ...]`.

FOLDER: a run, a pre-training stage or a model folder (`simvtp.publish`). The embedded corpus has labels of its own
(shape, colour, ground, motion; its test clips show combinations that training does not); a list names a column of
classes: --data 'csv:LIST?label=COLUMN'. How probes are trained: simvtp/evaluation/probe.py.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from simvtp.cli import Parser, add_plugin_argument, main
from simvtp.config.file_digests import split
from simvtp.config.plugins.loading import load_plugins
from simvtp.errors import DataError
from simvtp.evaluation.probe import Accuracy, Head, probe
from simvtp.inference.retriever import SimVTP
from simvtp.runtime.files import write_json
from simvtp.runtime.log import stdout_console


def probed(folder: Path, data: str, head: Head) -> tuple[SimVTP, dict[str, Accuracy]]:
    """The model of a folder, and the accuracy of each label of a corpus (empty: what its run was fine-tuned on).

    Raises DataError where the folder holds no model, or the corpus no labels.
    """
    is_model = (folder / "model.safetensors").is_file()
    model = SimVTP.from_pretrained(folder) if is_model else SimVTP.from_run(folder)
    if model.config.machine.threads:
        torch.set_num_threads(model.config.machine.threads)
    corpus = data or split(model.config.data.finetune)[0]
    return model, probe(model.encoder, model.config, model.tokenizer, corpus, head, model.device)


def _row(folder: Path, model: SimVTP, accuracies: dict[str, Accuracy]) -> list[str]:
    shown = [f"{label.value:.1f} [{label.low:.1f}, {label.high:.1f}]" for label in accuracies.values()]
    mean = sum(label.value for label in accuracies.values()) / len(accuracies)
    test: Any = model.about["metrics"].get("test", {}).get("text_to_video", {})
    return [str(folder), *shown, f"{mean:.1f}", f"{test['R@1']:.1f}" if "R@1" in test else "-"]


def _main() -> None:
    parser = Parser(prog="python -m simvtp.probe", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="runs, stages or model folders")
    parser.add_argument("--data", default="", metavar="CORPUS", help="labelled corpus (that of the run's fine-tuning)")
    parser.add_argument("--head", choices=("linear", "attentive"), default="linear", help="linear, or attentive")
    parser.add_argument("--out", type=Path, metavar="JSON", help="also write the figures to a file")
    add_plugin_argument(parser)
    given = parser.parse_args()
    load_plugins(given.plugins)
    for folder in given.folders:
        if not folder.is_dir():
            raise DataError(f"{folder} is no folder; name a run, a pre-training stage or a model folder")
    table, record = Table(title=f"{given.head} probe: accuracy on test clips in percent, 95% interval"), {}
    for folder in given.folders:
        model, accuracies = probed(folder, given.data, given.head)
        if not table.columns:
            for name in ("model", *accuracies, "mean", "R@1"):
                table.add_column(name, justify="left" if name == "model" else "right", no_wrap=name != "model")
            chances = [f"{label.chance:.1f}" for label in accuracies.values()]
            table.add_row("commonest class", *chances, f"{sum(map(float, chances)) / len(chances):.1f}", "")
        table.add_row(*_row(folder, model, accuracies))
        record[str(folder)] = {name: dataclasses.asdict(label) for name, label in accuracies.items()}
    stdout_console(160).print(table)
    if given.out:
        write_json(given.out, {"head": given.head, "models": record})


if __name__ == "__main__":
    main(_main)
