"""Results folders as tables, figures, reports, and as pandas frames: `analysis.load("results/")`."""

from analysis.runs.frames import Results
from analysis.runs.frames import load_results as load

__all__ = ["Results", "load"]
