"""`python analysis/document.py results/`: all.tex with every table and figure, to be compiled by `pdflatex all.tex`.

It includes the files that analysis/table.py and analysis/plot.py wrote into the folder; run those first. With --page
FILE it updates the tables of a Markdown page instead, between `<!-- table SWEEP -->` and `<!-- end table SWEEP -->` and
other marks (listed in analysis/tables/blocks.py); --check only reports whether they are up to date.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: Python put analysis/ on the path, not the repository
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis import cli
from analysis.runs.load import Collection
from analysis.runs.schema import Sweep
from analysis.runs.text import is_plain_name, printable
from analysis.tables.blocks import fill_blocks
from analysis.tables.latex import tex
from simvtp.errors import DataError

log = logging.getLogger(__name__)

_HEAD = r"""\documentclass[10pt]{article}
\usepackage[a4paper,margin=12mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
"""


def document(folder: Path, sweeps: Sequence[Sweep]) -> str:
    """The document, with paths relative to the folder; raises DataError if there is nothing to include."""
    parts = []
    titles = {sweep.folder: sweep.title for sweep in sweeps}
    for name, title in titles.items():
        has_table = (folder / "tables" / f"{name}.tex").exists()
        chapter = [f"\\input{{\\detokenize{{tables/{name}.tex}}}}\n"] if has_table else []
        chapter += [_figure(path, _caption(path, f"{title}: {path.stem}")) for path in _figures(folder, name)]
        if chapter:
            parts.append("".join(chapter))
    if not parts:
        raise DataError(
            f"{folder} has no tables/*.tex and no figures/*.pdf of its sweeps yet: run `python analysis/table.py "
            f"{folder}` and `python analysis/plot.py {folder}` first."
        )
    taken = {path for name in titles for path in _figures(folder, name)}
    others = [*sorted((folder / "figures").glob("*.pdf")), *sorted((folder / "figures").glob("reconstruct-*.png"))]
    for path in others:
        if not is_plain_name(path.name):
            log.warning("%s is left out: LaTeX cannot take its name", printable(str(path)))
    parts.append(
        "".join(
            _figure(path, _caption(path, path.stem))
            for path in others
            if path not in taken and is_plain_name(path.name)
        )
    )
    return _HEAD + "\\clearpage\n".join(parts) + "\\end{document}\n"


def _figures(folder: Path, name: str) -> list[Path]:
    """The PDFs of a sweep: NAME.pdf, NAME-cost.pdf and so on, but not those of a sweep whose name begins with NAME."""
    own = [folder / "figures" / f"{name}{ending}.pdf" for ending in ("", "-cost", "-learning")]
    return [path for path in own if path.exists()] + sorted((folder / "figures").glob(f"{name}-against-*.pdf"))


def _caption(path: Path, otherwise: str) -> str:
    """The caption that analysis/plot.py wrote beside the figure."""
    beside = path.with_suffix(".txt")
    return printable(beside.read_text(encoding="utf-8", errors="replace")) if beside.is_file() else otherwise


def _figure(path: Path, caption: str) -> str:
    return (
        "\\begin{figure}[htbp]\n\\centering\n"
        f"\\includegraphics[width=\\linewidth,height=0.8\\textheight,keepaspectratio]"
        f"{{\\detokenize{{figures/{path.name}}}}}\n\\caption{{{tex(caption)}}}\n\\end{{figure}}\n"
    )


def show(arguments: argparse.Namespace, collection: Collection, sweeps: Sequence[Sweep]) -> int:
    """Writes the document, or the blocks of a page; returns how many sweeps have nothing in it."""
    if arguments.page is not None:
        return _page(arguments.page, collection, check=arguments.check)
    path = collection.folder / "all.tex"
    text = document(collection.folder, sweeps)
    cli.write(path, text.encode())
    cli.output(f"-> {path}")
    return sum(f"/{sweep.folder}." not in text for sweep in sweeps)


def _page(path: Path, collection: Collection, *, check: bool) -> int:
    """Writes the blocks of a page; with `check` returns 1 where they are not up to date, and writes nothing."""
    try:
        before = path.read_text(encoding="utf-8")
    except ValueError as problem:
        raise DataError(f"{path} is no UTF-8 text ({problem})") from problem
    after = fill_blocks(before, collection)
    if check and before != after:
        log.error("%s is not up to date; write it with --page and without --check", path)
        return 1
    if before != after:
        cli.write(path, after.encode())
    cli.output(f"-> {path}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("python analysis/document.py", str(__doc__))
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables of this Markdown page instead")
    parser.add_argument("--check", action="store_true", help="with --page: write nothing, code 1 if it would change")
    return cli.run(parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
