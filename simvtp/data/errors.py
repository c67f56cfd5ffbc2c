"""What every reader of corpora raises for bad input."""

from __future__ import annotations


class DataError(ValueError):
    """A corpus, annotation file or video that cannot be used; the message names it and says what to do."""


class CutOff(DataError):
    """A video whose end is not there; another reader would serve what is left of it, so none is asked."""
