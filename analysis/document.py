"""`python analysis/document.py results/`: all.tex, every table and figure; `pdflatex all.tex` sets it.

It takes what analysis/table.py and analysis/plot.py wrote into the folder; run those first.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__" and not __package__:  # run as a file: this folder must not hide the standard `statistics`
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis import cli
from analysis.runs.load import Collection, ResultsError
from analysis.runs.schema import Sweep
from analysis.tables.latex import tex

_HEAD = r"""\documentclass[10pt]{article}
\usepackage[a4paper,margin=12mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
"""


def document(folder: Path, sweeps: Sequence[Sweep]) -> str:
    """The document, with paths relative to the folder; raises ResultsError where there is nothing to include."""
    parts = []
    titles = {sweep.folder: sweep.title for sweep in sweeps}
    for name, title in titles.items():
        has_table = (folder / "tables" / f"{name}.tex").exists()
        chapter = [f"\\input{{\\detokenize{{tables/{name}.tex}}}}\n"] if has_table else []
        chapter += [_figure(path, f"{title}: {path.stem}") for path in _figures(folder, name)]
        if chapter:
            parts.append("".join(chapter))
    if not parts:
        raise ResultsError(
            f"{folder} has no tables/*.tex and no figures/*.pdf of its sweeps yet: run `python analysis/table.py "
            f"{folder}` and `python analysis/plot.py {folder}` first."
        )
    taken = {path for name in titles for path in _figures(folder, name)}
    others = [*sorted((folder / "figures").glob("*.pdf")), *sorted((folder / "figures").glob("reconstruct-*.png"))]
    parts.append("".join(_figure(path, path.stem) for path in others if path not in taken))
    return _HEAD + "\\clearpage\n".join(parts) + "\\end{document}\n"


def _figures(folder: Path, name: str) -> list[Path]:
    """The PDFs of a sweep: its own, and name-cost and so on, but not those of a sweep whose name begins like it."""
    own = [folder / "figures" / f"{name}{ending}.pdf" for ending in ("", "-cost", "-learning")]
    return [path for path in own if path.exists()] + sorted((folder / "figures").glob(f"{name}-against-*.pdf"))


def _figure(path: Path, caption: str) -> str:
    return (
        "\\begin{figure}[htbp]\n\\centering\n"
        f"\\includegraphics[width=\\linewidth,height=0.8\\textheight,keepaspectratio]"
        f"{{\\detokenize{{figures/{path.name}}}}}\n\\caption{{{tex(caption)}}}\n\\end{{figure}}\n"
    )


def show(_: argparse.Namespace, collection: Collection, sweeps: Sequence[Sweep]) -> int:
    """Writes the document; returns how many sweeps have nothing in it."""
    path = collection.folder / "all.tex"
    text = document(collection.folder, sweeps)
    cli.write(path, text.encode())
    print(f"-> {path}")
    return sum(f"/{sweep.folder}." not in text for sweep in sweeps)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = cli.parser("python analysis/document.py", str(__doc__))
    return cli.run(parser.parse_args(arguments), show)


if __name__ == "__main__":
    sys.exit(main())
