"""Style presets of figures: for the screen, and for venues (widths and font sizes by tueplots)."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from typing import Any

from simvtp.errors import ConfigError, nearest

FORMATS = ("png", "pdf", "svg")
STYLES = ("default", "neurips", "cvpr", "acl", "slides")
# Both come with matplotlib, so they are the same on every machine; STIX is a Times.
SERIF, SANS = "STIXGeneral", "DejaVu Sans"
_ACL = (3.03, 6.3)  # inches: a column and the page of acl.sty, 219.1 pt and 455.2 pt
_NARROW = 4.5  # inches


@dataclass(frozen=True)
class Look:
    """One style preset.

    width: of a figure, inches; titles: whether a figure has a title; notes: whether it shows the notes of its caption;
    settings: of matplotlib, over those that all presets share (analysis/figures/style.py, which has the colours).
    """

    width: float = 7.2  # the text of a two-column page
    titles: bool = True
    notes: bool = True
    settings: dict[Any, Any] = field(default_factory=dict)

    @property
    def narrow(self) -> bool:
        """Whether a figure is in one column of two: panels then stand below each other."""
        return self.width < _NARROW

    def size(self, height: float, share: float = 1.0) -> tuple[float, float]:
        """Inches of a figure that is `height` high at the default width; share: of the width."""
        return share * self.width, height * (self.width / Look.width) ** 0.5


REPORT = Look(width=10.5, notes=False)


def of_style(name: str, width: str | None = None) -> Look:
    """The look of a style.

    name: one of STYLES; width: 'column' (the default of a style with columns), 'page', or inches.
    Raises ConfigError.
    """
    if name not in STYLES:
        raise ConfigError(f"--style {name!r}: there is no such style{nearest(name, STYLES)}; {', '.join(STYLES)}")
    column, page, settings = _venue(name)
    inches = column if width is None else {"column": column, "page": page}.get(width) or _inches(width)
    if name == "default":
        return Look(inches if width else page)
    return Look(inches, titles=name == "slides", notes=False, settings=settings)


def _inches(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1.5 <= value <= 30:
        raise ConfigError(f"--width {text}: name column, page, or inches from 1.5 to 30")
    return value


def _venue(name: str) -> tuple[float, float, dict[Any, Any]]:
    """Width of a column and of the page in inches, and the settings."""
    from tueplots import bundles, figsizes, fontsizes

    if name == "default":
        return 3.5, Look.width, {}
    if name == "slides":
        page = float(figsizes.beamer_169(rel_width=1.0)["figure.figsize"][0])
        heavy = {"lines.linewidth": 2.0, "lines.markersize": 6, "axes.linewidth": 1.0}
        return page, page, {**_fonts(9, 8), **heavy}
    if name == "acl":  # which tueplots does not have: its text is set in 11 pt, its captions in 10 pt
        return *_ACL, {**_fonts(9, 7), **_serif()}
    if name == "neurips":
        sizes, widths = fontsizes.neurips2024(), [bundles.neurips2024(usetex=False)] * 2
    else:
        sizes = fontsizes.cvpr2024()
        widths = [bundles.cvpr2024(usetex=False, column=column) for column in ("half", "full")]
    column, page = (float(one["figure.figsize"][0]) for one in widths)
    return column, page, {**_fonts(sizes["axes.labelsize"], sizes["legend.fontsize"]), **_serif()}


def _fonts(text: float, small: float) -> dict[Any, Any]:
    """text: points of titles and names of axes; small: of ticks and legends."""
    big: dict[Any, Any] = dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize", "figure.titlesize"), text)
    return big | dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), small)


def _serif() -> dict[Any, Any]:
    """Thin lines and the letters of the text around it."""
    return {"font.family": SERIF, "lines.linewidth": 1.1, "lines.markersize": 4, "axes.linewidth": 0.6}


def with_font(look: Look, font: str) -> Look:
    """The look in another font: 'serif', 'sans', or the name of one that matplotlib finds; raises ConfigError."""
    from matplotlib.font_manager import fontManager

    family = {"serif": SERIF, "sans": SANS}.get(font, font)
    known = fontManager.get_font_names()
    if family not in known:
        raise ConfigError(
            f"--font {font!r}: matplotlib finds no such font{nearest(font, known)}. Name serif, sans, or one that is "
            "installed here; after installing one, delete matplotlib's font list (`python -c 'import matplotlib as m; "
            "print(m.get_cachedir())'`)."
        )
    return replace(look, settings={**look.settings, "font.family": family})


def add_options(parser: argparse.ArgumentParser) -> None:
    """--style, --width, --font, --title and --no-title; `of_arguments` reads them."""
    parser.add_argument("--style", choices=STYLES, default="default", help="fonts and width of a venue's page")
    parser.add_argument("--width", metavar="WIDTH", help="column, page, or inches (a column; default style: the page)")
    parser.add_argument("--font", help="serif, sans, or the name of an installed font")
    parser.add_argument("--title", action=argparse.BooleanOptionalAction, help="titles on figures (default and slides: "
                        "yes; what they say is in the caption in any case)")  # fmt: skip


def of_arguments(arguments: argparse.Namespace) -> Look:
    """The look that a command line asks for; raises ConfigError."""
    look = of_style(arguments.style, arguments.width)
    if arguments.font is not None:
        look = with_font(look, arguments.font)
    return look if arguments.title is None else replace(look, titles=arguments.title)
