"""A sweep's table as LaTeX, and plain text as LaTeX takes it."""

from __future__ import annotations

import re

from analysis.stats.summary import Summary
from analysis.tables.columns import Column, columns, marks, notes


def latex(summary: Summary) -> str:
    """A booktabs table over both columns, shrunk where it is wider than the line. A dagger is the verdict."""
    shown = [column for column in columns(summary) if column.heading != "verdict"]
    groups, rules = _groups(shown)
    caption = f"{tex(summary.sweep.title)}. {tex(' '.join(notes(summary)))}"
    lines = [
        f"% {' '.join(summary.sweep.command.split())} (needs \\usepackage{{booktabs}} and \\usepackage{{graphicx}})",
        r"\begin{table*}",
        r"\centering\scriptsize\setlength{\tabcolsep}{3pt}",
        f"\\caption{{{caption} $\\dagger$: a difference to the base is shown.}}",
        r"\smallskip",
        f"\\label{{tab:{re.sub(r'[^a-z0-9]+', '-', summary.sweep.folder.lower())}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}"
        f"{{\\begin{{tabular}}{{l{'r' * (len(shown) - 1)}}}",
        r"\toprule",
        groups,
        rules,
        " & ".join(tex(column.heading) for column in shown) + r" \\",
        r"\midrule",
        *_body(summary, shown),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table*}",
        "",
    ]
    return "\n".join(lines)


def _body(summary: Summary, shown: list[Column]) -> list[str]:
    marked = [marks(summary, column) for column in shown]
    lines = []
    for k, row in enumerate(summary.rows):
        cells = []
        for column, mark in zip(shown, marked, strict=True):
            text = tex(column.text(row))
            if column.heading == "difference" and row.difference and row.difference.shown:
                text += r"$^\dagger$"
            cells.append({"best": f"\\textbf{{{text}}}", "second": f"\\underline{{{text}}}"}.get(mark.get(k, ""), text))
        lines.append(" & ".join(cells) + r" \\")
    return lines


def _groups(shown: list[Column]) -> tuple[str, str]:
    """The line of spanning heads and the rules below them."""
    cells, rules, start = [], [], 0
    while start < len(shown):
        end = start + 1
        while end < len(shown) and shown[start].group and shown[end].group == shown[start].group:
            end += 1
        cells.append(f"\\multicolumn{{{end - start}}}{{c}}{{{tex(shown[start].group)}}}" if shown[start].group else "")
        if shown[start].group:
            rules.append(f"\\cmidrule(lr){{{start + 1}-{end}}}")
        start = end
    return " & ".join(cells) + r" \\", "".join(rules)


# Alpha to omega as Unicode has them, with the second sigma; LaTeX has no omicron.
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho varsigma sigma tau "
    "upsilon phi chi psi omega"
)
_TEX = (
    {letter: f"\\{letter}" for letter in "&%$#_{}"}
    | {chr(0x3B1 + k): f"$\\{name}$" for k, name in enumerate(_GREEK.split())}
    | {
        "ο": "o",
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "|": "$|$",
        '"': "''",
        "±": r"$\pm$",
        "→": r"$\to$",
        "×": r"$\times$",
    }
)


def tex(text: str) -> str:
    """Plain text on one line with all that LaTeX would take for itself escaped; signs of numbers as minus signs.

    A letter that pdflatex does not set without further packages is a question mark.
    """
    set_ = "".join(_TEX.get(letter, letter if _plain(letter) else "?") for letter in " ".join(text.split()))
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", set_)


def _plain(letter: str) -> bool:
    """Printable ASCII, Latin with accents, dashes and quotes."""
    return " " <= letter <= "~" or "\u00c0" <= letter <= "\u00ff" or letter in "–—‘’“”"
