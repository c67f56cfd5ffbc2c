"""Evaluators of plugins: more numbers of a fine-tuned run, from the features of its test gallery (docs/extend.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simvtp.config.plugins.usage import active
from simvtp.config.schema import Config
from simvtp.data.corpora.corpus import Sample
from simvtp.errors import ConfigError
from simvtp.evaluation.metrics import Floats


@dataclass(frozen=True)
class EncodedGallery:
    """The test gallery as the chosen epoch encodes it.

    config: of the run. videos, captions: unit features, float [N, D] and [Q, D], in the order of the corpus. owner: the
    row of each caption's video. samples: ids, paths and captions of the videos. absent: rows of videos that could not
    be read, whose features mean nothing.
    """

    config: Config
    videos: Floats
    captions: Floats
    owner: Sequence[int]
    samples: Sequence[Sample]
    absent: frozenset[int]


def evaluated(gallery: EncodedGallery) -> dict[str, dict[str, float]]:
    """Evaluator -> number by name, of those that are on. Raises ConfigError where one gives something else."""
    found = {}
    for name, (_, evaluator) in active(gallery.config, "evaluate").items():
        numbers = evaluator(gallery)
        if not isinstance(numbers, Mapping) or not numbers:
            raise ConfigError(f"evaluate.{name}: it gives {numbers!r:.60}; it must give numbers by name")
        for key, value in numbers.items():
            if not isinstance(value, int | float | np.number) or not math.isfinite(value):
                raise ConfigError(f"evaluate.{name}: {key} is {value!r:.60}; it must be a finite number")
        found[name] = {str(key): float(value) for key, value in numbers.items()}
    return found
