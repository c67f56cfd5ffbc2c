"""The command `simvtp`, also `python -m simvtp`: all commands under one name, from any folder.

`simvtp sweep mask_ratio` is `python sweeps/run.py mask_ratio` of the repository, `simvtp plot` is
`python analysis/plot.py`, `simvtp run` is `python -m simvtp.run`.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from simvtp.errors import nearest, printable

PACKAGE = Path(__file__).resolve().parent
INSTALLED = "_commands"  # folder of the installed package with sweeps/, analysis/ and clusters/ (pyproject.toml)

# command: its module, and what it does
COMMANDS = {
    "sweep": ("sweeps.run", "run an ablation, a study of your own or a search; --list, --status, --dry-run"),
    "run": ("simvtp.run", "one run: pre-train, fine-tune, evaluate"),
    "pretrain": ("simvtp.pretrain", "stage 1 of a run"),
    "finetune": ("simvtp.finetune", "stage 2 of a run"),
    "evaluate": ("simvtp.evaluate", "stage 3 of a run, retrieval on the test gallery"),
    "config": ("simvtp.config.__main__", "show every field of a preset with value, meaning and source"),
    "plot": ("analysis.plot", "figures of a results folder"),
    "table": ("analysis.table", "tables of a results folder: Markdown, CSV, LaTeX"),
    "report": ("analysis.report", "one HTML file of a results folder"),
    "compare": ("analysis.compare", "two results folders, or two runs on the same queries"),
    "document": ("analysis.document", "every table and figure in one LaTeX file"),
    "reconstruct": ("analysis.reconstruct", "original, masked and rebuilt frames and words of a run"),
    "check": ("simvtp.data.check", "what of a corpus is there; --deep decodes every video"),
    "prepare": ("simvtp.data.prepare", "a corpus with short, seekable videos"),
    "pack": ("simvtp.data.pack", "a corpus in a few large files, for network disks"),
    "vocabulary": ("simvtp.data.vocabulary", "a WordPiece vocabulary of a corpus"),
    "publish": ("simvtp.publish", "a run as a model folder"),
    "search": ("simvtp.search", "videos of a folder for a text"),
    "probe": ("simvtp.probe", "clips classified by frozen features"),
    "trackers": ("simvtp.training.trackers", "logs of finished runs to a tracker"),
}


def add_commands_to_path() -> None:
    """Let `sweeps` and `analysis` be imported: of the installed package, or of the checkout that this file is in."""
    installed = PACKAGE / INSTALLED
    folder = str(installed if installed.is_dir() else PACKAGE.parent)
    if folder in sys.path:
        sys.path.remove(folder)
    sys.path.insert(0, folder)  # first on the path, before other packages of these names


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit code. words: the command and its arguments (those of the process)."""
    name, *rest = (sys.argv[1:] if words is None else words) or ["--help"]
    if name in ("-h", "--help"):
        print(help_text())
        return 0
    if name not in COMMANDS:
        hint = nearest(name, COMMANDS)
        print(printable(f"error: simvtp has no command {name!r}{hint}; simvtp --help lists them"), file=sys.stderr)
        return 2
    add_commands_to_path()
    sys.argv = [f"simvtp {name}", *rest]  # simvtp.cli shows it in usage lines
    module = importlib.import_module(COMMANDS[name][0])
    if hasattr(module, "_main"):  # a command of simvtp: it reads sys.argv
        from simvtp.cli import boundary

        return boundary(module._main)
    code: int = module.main(rest)
    return code


def help_text() -> str:
    """Every command with what it does, one a line."""
    lines = [f"  {name:12} {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(["usage: simvtp COMMAND ...\n", *lines, "\nsimvtp COMMAND --help has the options of one."])


if __name__ == "__main__":
    sys.exit(main())
