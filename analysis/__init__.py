"""Results folders as tables, figures, reports, and as pandas frames: `analysis.load("results/")`.

The frames are imported at first use, so that a help text needs no numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.runs.frames import Results
    from analysis.runs.frames import load_results as load

__all__ = ["Results", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from analysis.runs import frames

        return frames.Results if name == "Results" else frames.load_results
    raise AttributeError(f"module 'analysis' has no attribute {name!r}")
