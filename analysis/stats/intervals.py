"""Seeds and test queries -> mean, 95% interval, paired difference. Arrays in, numbers out.

Every function takes `values` of shape [..., S, Q]: S seeds, Q test queries, the same queries in the same order for
each seed; for R@1 a value is 100 where the query's right item came first and 0 elsewhere, so means are percentages.

The interval. A value is m + seed + query + rest. The mean over S seeds and Q queries then varies by

    A = (seed variance) / S + (rest variance) / (S Q)      estimated by the variance of the S seed means, over S
    B = (query variance) / Q                               what all seeds share by being tested on the same queries

B is estimated by a paired bootstrap over queries: every seed is scored on the same resampled queries, and B is the mean
covariance between two seeds' scores. For a mean, what infinitely many resamples would give is known in closed form (the
ideal bootstrap: Efron and Tibshirani 1993, chapter 6), so none are drawn and no luck is in it. A is estimated from S
values only, hence the t quantile with S - 1 degrees of freedom. The two half-widths add in quadrature (the MOVER of Zou
and Donner 2008; Graybill and Wang 1980):

    half = sqrt(t(S - 1)^2 A + z^2 B),   at least z sqrt(V),   V the bootstrap variance of the mean over queries alone

so it is the t interval over seeds where queries do not matter, and the query bootstrap where seeds do not. Percentiles
of a bootstrap that resamples 3 to 5 seeds are too narrow as soon as seeds differ:
tests/analysis/stats/test_intervals.py measures both. One seed shows nothing of other seeds: its interval covers queries
only (Wilson 1927 for a level), and no difference is ever claimed from it. Queries are taken as independent; the
captions of one video are not, so where a video has several it comes as one value (analysis.runs.schema.Run.hits).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.floating]

CONFIDENCE = 0.95


def _normal(tail: float) -> float:
    """What a standard normal exceeds with this probability: scipy.stats.norm.isf without its slow checks."""
    from scipy import special  # a fifth of a second: not for --help

    return -float(special.ndtri(tail))


def _student(tail: float, freedom: int) -> float:
    """The same for Student's t."""
    from scipy import special

    return -float(special.stdtrit(freedom, tail))


@dataclass(frozen=True)
class Interval:
    """Mean over seeds with its 95% interval and the deviation over seeds (NaN for one seed), in units of the values:
    percent for R@K, points for its differences, ranks for MdR and MnR."""

    mean: float
    low: float
    high: float
    deviation: float
    seeds: int

    @property
    def half(self) -> float:
        """The number after the +-: the longer half, where the interval ends at a bound such as 0%."""
        return max(self.high - self.mean, self.mean - self.low)

    @property
    def queries_only(self) -> bool:
        """Whether the interval leaves out the spread over seeds, for want of a second seed."""
        return self.seeds < 2


@dataclass(frozen=True)
class Difference:
    """A point minus the base, over the seeds that both have, paired by seed and by query.

    interval: of the difference, points; p: of this difference alone; adjusted_p: Holm-corrected over its table;
    query_variance: B of the difference, squared points, which more seeds do not lower.
    """

    interval: Interval
    p: float
    adjusted_p: float
    query_variance: float = 0.0

    @property
    def verdict(self) -> str:
        """'higher', 'lower' or 'no difference shown', with the reason where it is not the interval.

        Of one seed: 'higher on these queries (one seed)', which claims nothing of other seeds.
        """
        if self.interval.queries_only:
            return (
                f"{self.on_queries} on these queries (one seed)"
                if self.on_queries
                else "no difference shown (one seed)"
            )
        if self.interval.low <= 0 <= self.interval.high:
            return "no difference shown"
        if self.adjusted_p >= 1 - CONFIDENCE:
            return "no difference shown (Holm)"
        return "higher" if self.interval.mean > 0 else "lower"

    @property
    def on_queries(self) -> str:
        """'higher' or 'lower' where the interval leaves out 0, else ''."""
        if self.interval.low <= 0 <= self.interval.high:
            return ""
        return "higher" if self.interval.mean > 0 else "lower"

    @property
    def shown(self) -> bool:
        return self.verdict in ("higher", "lower")


@dataclass(frozen=True)
class Spread:
    """Parts of the variance of a mean: arrays of shape [...], in squared units of the values."""

    mean: Values
    seed_part: Values  # A
    query_part: Values  # B
    queries_alone: Values  # V
    seeds: int

    def half_width(self, alpha: float = 1 - CONFIDENCE) -> Values:
        """[...]: half of the interval that misses the mean with probability `alpha`, in units of the values."""
        z = _normal(alpha / 2)
        alone = z * np.sqrt(self.queries_alone)
        if self.seeds < 2:
            return alone
        t = _student(alpha / 2, self.seeds - 1)
        return np.maximum(np.sqrt(t**2 * self.seed_part + z**2 * self.query_part), alone)


def spread(values: Values) -> Spread:
    """The variance of the mean of values [..., S, Q], in parts of shape [...] (see the module's head).

    Raises ValueError if there is no seed or no query.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim < 2 or 0 in values.shape[-2:]:
        raise ValueError(f"values have shape {values.shape}; seeds x queries is needed, at least 1 x 1")
    seeds, queries = values.shape[-2:]
    seed_means = values.mean(-1)
    apart = values - seed_means[..., None]
    own = np.square(apart).sum((-1, -2)) / queries**2  # sum over seeds of the variance of a seed's score
    together = np.square(apart.sum(-2)).sum(-1) / queries**2  # variance of the sum of the seeds' scores
    shared, seed_part = np.zeros_like(own), np.zeros_like(own)
    if seeds > 1:
        shared = np.maximum(together - own, 0) / (seeds * (seeds - 1))
        seed_part = seed_means.var(-1, ddof=1) / seeds
    return Spread(seed_means.mean(-1), seed_part, shared, together / seeds**2, seeds)


def interval(values: Values, low: float = 0.0, high: float = 100.0) -> Interval:
    """Mean and 95% interval of a level in [low, high] from values [S, Q] in [low, high].

    Of one seed, and where every value is `low` or every one `high`, so that nothing varies, it is Wilson's.
    """
    parts = spread(values)
    mean, half = float(parts.mean), float(parts.half_width())
    if parts.seeds == 1 or mean in (low, high):
        bottom, top = wilson((mean - low) / (high - low), _trials(parts, low, high, values.shape[-1]))
        return Interval(mean, low + (high - low) * bottom, low + (high - low) * top, _deviation(parts), parts.seeds)
    return Interval(mean, max(low, mean - half), min(high, mean + half), _deviation(parts), parts.seeds)


def interval_of_ranks(values: Values, worst: float) -> Interval:
    """Mean and 95% interval of a median or mean rank from values [S, Q] of `analysis.stats.per_query`.

    worst: the last rank; the interval ends there, and at 1.
    """
    parts = spread(values)
    mean, half = float(parts.mean), float(parts.half_width())
    return Interval(mean, max(1.0, mean - half), min(worst, mean + half), _deviation(parts), parts.seeds)


def _trials(parts: Spread, low: float, high: float, queries: int) -> float:
    """How many independent yes-or-no queries vary as much: Q of them where each value is `low` or `high`, more where
    a value is a mean over captions of one video."""
    mean, variance = float(parts.mean), float(parts.queries_alone)
    return (mean - low) * (high - mean) / variance if variance > 0 else queries


def wilson(share: float, trials: float) -> tuple[float, float]:
    """Wilson's score interval (1927) of a share in [0, 1] seen in that many trials: its two ends, in [0, 1]."""
    z = _normal((1 - CONFIDENCE) / 2)
    scale = 1 + z**2 / trials
    centre = (share + z**2 / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2)) / scale
    return (max(0.0, centre - half) if share > 0 else 0.0), (min(1.0, centre + half) if share < 1 else 1.0)


def _deviation(parts: Spread) -> float:
    return math.sqrt(float(parts.seed_part) * parts.seeds) if parts.seeds > 1 else math.nan


def differences(pairs: Sequence[tuple[Values, Values]]) -> list[Difference]:
    """Point minus base for each (point [S, Q], base [S, Q]) of one table, Holm-corrected over the table.

    Rows of a pair must be the same seeds, columns the same queries. A pair of one seed has an interval over queries
    only and no p of its own (1.0), so it neither claims anything nor costs the others.
    """
    parts = [spread(np.asarray(point, np.float32) - np.asarray(base, np.float32)) for point, base in pairs]
    p = [_p_value(part) if part.seeds > 1 else 1.0 for part in parts]
    tested = [k for k, part in enumerate(parts) if part.seeds > 1]
    adjusted = dict(zip(tested, holm([p[k] for k in tested]), strict=True))
    results = []
    for k, part in enumerate(parts):
        mean, half = float(part.mean), float(part.half_width())
        between = Interval(mean, mean - half, mean + half, _deviation(part), part.seeds)
        results.append(Difference(between, p[k], adjusted.get(k, 1.0), float(part.query_part)))
    return results


def _p_value(parts: Spread) -> float:
    """The alpha whose interval just touches 0, by bisection: the p that belongs to this interval."""
    size = abs(float(parts.mean))
    own, shared, alone = (float(part) for part in (parts.seed_part, parts.query_part, parts.queries_alone))

    def half_width(alpha: float) -> float:  # `parts.half_width` in plain numbers, a tenth of the time
        z, t = _normal(alpha / 2), _student(alpha / 2, parts.seeds - 1)
        return max(math.sqrt(t**2 * own + z**2 * shared), z * math.sqrt(alone))

    low, high = 1e-12, 1.0
    if size <= 0 or size <= half_width(1.0):
        return 1.0
    if size > half_width(low):
        return low
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if half_width(middle) < size else (middle, high)
    return high


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values (1979) of M tests, in the order given: M values of at most 1."""
    order = sorted(range(len(p)), key=lambda k: p[k])
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, k in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[k]))
        adjusted[k] = highest
    return adjusted


def detectable(seeds: int, deviation: float, query_variance: float = 0.0, power: float = 0.8, rows: int = 1) -> float:
    """The smallest true difference of one row that a table of `rows` differences shows with this power (two or more
    seeds; 5%, two-sided, by the first step of Holm's correction, which a single true difference has to pass).

    `deviation` is that of the paired difference over seeds, in points, `query_variance` the B of the difference, in
    squared points; the result is in points.
    """
    tail = (1 - CONFIDENCE) / 2 / rows
    t = _student(tail, seeds - 1) + _student(1 - power, seeds - 1)
    z = _normal(tail) + _normal(1 - power)
    return math.sqrt(t**2 * deviation**2 / seeds + z**2 * query_variance)


def seeds_needed(
    wanted: float, deviation: float, query_variance: float = 0.0, power: float = 0.8, rows: int = 1
) -> int | None:
    """Fewest seeds with which `detectable` is no more than `wanted`.

    None if no number of seeds up to 10,000 does: then the test queries are too few.
    """
    for seeds in (*range(2, 200), *range(200, 10_001, 50)):
        if detectable(seeds, deviation, query_variance, power, rows) <= wanted:
            return seeds
    return None
