"""How sure an R@1 is, given which queries happened to be asked: a bootstrap over the test's videos.

For the screen of one run. What seeds and settings change is told by `analysis/`, which pairs runs by seed and query.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
SEED = 20221207  # fixed: the same ranks give the same interval


def recall_interval(ranks: Sequence[float], owners: Sequence[int] | None = None, first: int = 1) -> tuple[float, float]:
    """95% interval of R@first in percent, from ranks of queries, percentiles of a bootstrap.

    owners: the video of each query, where some have several captions: those are drawn together.
    """
    hits = (np.asarray(ranks) <= first).astype(np.float64)
    groups = np.arange(len(hits)) if owners is None else np.asarray(owners)
    found, queries = np.bincount(groups, weights=hits), np.bincount(groups)
    found, queries = found[queries > 0], queries[queries > 0]
    drawn = np.random.default_rng(SEED).multinomial(len(found), np.full(len(found), 1 / len(found)), size=RESAMPLES)
    low, high = np.percentile(100 * (drawn @ found) / (drawn @ queries), (2.5, 97.5))
    return float(low), float(high)
