"""The interval of one run, against the binomial and against what repeated captions must do."""

import numpy as np
import pytest
from scipy import stats

from simvtp.evaluation.metrics import recall_interval


def test_of_independent_queries_it_is_the_binomial_one() -> None:
    low, high = recall_interval([1] * 120 + [7] * 280)
    wanted = [100 * stats.binom.ppf(tail, 400, 0.3) / 400 for tail in (0.025, 0.975)]
    assert [low, high] == pytest.approx(wanted, abs=0.3)
    assert recall_interval([1] * 120 + [7] * 280, first=10) == (100.0, 100.0)
    assert recall_interval([1] * 120 + [7] * 280) == (low, high)


def test_captions_of_one_video_count_together() -> None:
    ranks = [1] * 120 + [7] * 280
    alone = recall_interval(ranks)
    assert recall_interval(np.repeat(ranks, 5).tolist(), np.repeat(np.arange(400), 5).tolist()) == alone
    narrower = recall_interval(np.repeat(ranks, 5).tolist())
    assert narrower[1] - narrower[0] < 0.6 * (alone[1] - alone[0])
