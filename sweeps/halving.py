"""Successive halving without waiting: at each rung, the best share of the trials that got there goes on.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", as in Optuna's SuccessiveHalvingPruner: a trial
is judged once, when it reaches the rung, against those that were there before; nobody waits for the others. Unlike
Optuna's, the judgement depends on the values alone, so it can be made again after a kill.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction


def goes_on(value: float, others: Sequence[float], keep: Fraction) -> bool:
    """Whether a value, R@1, is among the best `keep` of it and the others; the first at a rung always goes on.

    Of equal values the earlier ones have the places: R@1 of a small gallery takes few values.
    """
    places = max(1, int((len(others) + 1) * keep))
    return sum(other >= value for other in others) < places
