"""A finished run or pre-training stage as a model folder. `python -m simvtp.publish results/runs/ID --to DIR`."""

from __future__ import annotations

import logging
from pathlib import Path

from simvtp.cli import Parser, add_plugin_argument, main
from simvtp.config.plugins.loading import load_plugins
from simvtp.inference.retriever import SimVTP

log = logging.getLogger(__name__)


def _main() -> None:
    parser = Parser(prog="python -m simvtp.publish", description=__doc__)
    parser.add_argument("run", type=Path, help="results/runs/ID or results/pretrained/ID")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the model folder to write")
    add_plugin_argument(parser)
    given = parser.parse_args()
    load_plugins(given.plugins)
    SimVTP.from_run(given.run).save_pretrained(given.to)
    log.info("model folder: %s (weights, config, tokenizer, model card)", given.to)


if __name__ == "__main__":
    main(_main)
