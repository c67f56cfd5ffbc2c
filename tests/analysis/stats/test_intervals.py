"""Intervals and differences against literal values, scipy, and simulated truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.stats.intervals import Difference, Interval, detectable, differences, holm, interval, seeds_needed, spread

QUERIES = 200
WORLDS = 1500


def hits(shape: tuple[int, ...], seed: int, seed_sd: float, query_sd: float, shift: float = -0.8) -> np.ndarray:
    """[worlds, seeds, queries] of 0 and 100 from a probit with a seed part, a query part and the rest of variance 1."""
    random = np.random.default_rng(seed)
    worlds, seeds, queries = shape
    latent = shift + seed_sd * random.standard_normal((worlds, seeds, 1), dtype=np.float32)
    latent = latent + query_sd * random.standard_normal((worlds, 1, queries), dtype=np.float32)
    return np.where(latent + random.standard_normal(shape, dtype=np.float32) > 0, np.float32(100), np.float32(0))


def truth(seed_sd: float, query_sd: float, shift: float = -0.8) -> float:
    """Expected R@1 over all seeds and queries of `hits`."""
    return 100 * float(stats.norm.cdf(shift / math.sqrt(1 + seed_sd**2 + query_sd**2)))


def covered(values: np.ndarray, true: float) -> float:
    parts = spread(values)
    return float((np.abs(parts.mean - true) <= parts.half_width()).mean())


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize(("seed_sd", "query_sd"), [(0.0, 0.7), (0.15, 0.7), (0.4, 0.3)])
def test_interval_covers_the_truth_over_seeds_and_queries(seeds: int, seed_sd: float, query_sd: float) -> None:
    values = hits((WORLDS, seeds, QUERIES), 11 * seeds, seed_sd, query_sd)
    # 95% less three standard errors of 1500 worlds; above it the interval is merely careful.
    assert covered(values, truth(seed_sd, query_sd)) >= 0.933


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_interval_of_a_paired_difference_covers_the_truth(seeds: int) -> None:
    random = np.random.default_rng(3)
    shape = (WORLDS, seeds, QUERIES)
    query = 0.7 * random.standard_normal((WORLDS, 1, QUERIES), dtype=np.float32)
    both = []
    for shift in (-0.8, -0.6):
        seed = 0.15 * random.standard_normal((WORLDS, seeds, 1), dtype=np.float32)
        own = 0.3 * random.standard_normal((WORLDS, 1, QUERIES), dtype=np.float32)  # queries suit one model more
        both.append(shift + seed + query + own + random.standard_normal(shape, dtype=np.float32) > 0)
    values = 100 * (both[1].astype(np.float32) - both[0].astype(np.float32))
    scale = math.hypot(0.15, math.hypot(0.7, 0.3))
    true = truth(scale, 0, -0.6) - truth(scale, 0, -0.8)
    assert covered(values, true) >= 0.933


def test_interval_is_not_needlessly_wide_with_ten_seeds() -> None:
    assert covered(hits((WORLDS, 10, QUERIES), 5, 0.15, 0.7), truth(0.15, 0.7)) <= 0.985


def test_percentile_bootstrap_over_three_seeds_would_be_too_narrow() -> None:
    """Why the interval is not that: the same worlds, resampling seeds and queries, percentiles."""
    random = np.random.default_rng(0)
    values, true = hits((400, 3, QUERIES), 33, 0.4, 0.3), truth(0.4, 0.3)
    seeds = random.multinomial(3, [1 / 3] * 3, size=300).astype(np.float32) / 3
    queries = random.multinomial(QUERIES, np.full(QUERIES, 1 / QUERIES), size=300).astype(np.float32) / QUERIES
    scores = np.einsum("wsb,bs->wb", values @ queries.T, seeds)
    low, high = np.percentile(scores, [2.5, 97.5], axis=1)
    plain = float(((low <= true) & (true <= high)).mean())
    assert plain < 0.85
    assert covered(values, true) >= 0.93


@pytest.mark.parametrize(("level", "queries"), [(0.2, 500), (0.02, 500), (0.5, 100)])
def test_interval_of_one_seed_covers_the_queries(level: float, queries: int) -> None:
    random = np.random.default_rng(9)
    inside = 0
    for _ in range(400):
        bounds = interval(100 * (random.random((1, queries)) < level).astype(np.float32))
        inside += bounds.low <= 100 * level <= bounds.high
    assert inside / 400 >= 0.92


def test_without_query_variance_it_is_the_t_interval_over_seeds() -> None:
    """Seed means 20, 22, 27 with the same number of hits wherever they fall: compare with the textbook."""
    random = np.random.default_rng(1)
    values = np.zeros((3, 2000))
    for row, share in zip(values, (0.20, 0.22, 0.27), strict=True):
        row[random.permutation(2000)[: int(2000 * share)]] = 100
    bounds = interval(values)
    t = stats.t.ppf(0.975, 2) * math.sqrt(13) / math.sqrt(3)
    assert bounds.mean == pytest.approx(23)
    assert bounds.deviation == pytest.approx(math.sqrt(13))
    assert bounds.half == pytest.approx(t, rel=0.02)


def test_identical_seeds_leave_the_interval_over_queries() -> None:
    row = np.zeros(400)
    row[:100] = 100
    bounds = interval(np.stack([row] * 4))
    assert bounds.deviation == 0
    assert bounds.half == pytest.approx(1.96 * 100 * math.sqrt(0.25 * 0.75 / 400), rel=0.1)


def test_one_seed_gives_wilsons_interval_and_says_so() -> None:
    values = np.zeros((1, 100))
    values[0, :10] = 100
    bounds = interval(values)
    assert (round(bounds.low, 2), round(bounds.high, 2)) == (5.52, 17.44)  # Wilson for 10 of 100
    assert bounds.queries_only
    assert math.isnan(bounds.deviation)


def test_no_hit_at_all_does_not_give_an_empty_interval() -> None:
    bounds = interval(np.zeros((1, 100)))
    assert bounds.low == 0
    assert bounds.high == pytest.approx(3.7, abs=0.1)


@pytest.mark.parametrize("seeds", [2, 6])
def test_parts_are_those_of_a_drawn_paired_bootstrap(seeds: int) -> None:
    values = hits((1, seeds, 300), 2, 0.2, 0.9)[0]
    drawn = np.random.default_rng(5).integers(0, 300, (40_000, 300))
    weights = np.stack([np.bincount(places, minlength=300) for places in drawn]) / 300
    covariance = np.cov(values @ weights.T)  # of the seeds' scores over the same resamples
    parts = spread(values)
    assert float(parts.queries_alone) == pytest.approx(covariance.mean(), rel=0.03)
    between = (covariance.sum() - covariance.trace()) / (seeds * (seeds - 1))
    assert float(parts.query_part) == pytest.approx(between, rel=0.05)


def test_differences_of_equal_rows_are_not_shown() -> None:
    base = hits((1, 5, 300), 2, 0.2, 0.5)[0]
    (shown,) = differences([(base, base)])
    assert shown.interval.mean == 0
    assert shown.verdict == "no difference shown"
    assert shown.p == 1


def test_a_clear_difference_is_shown_with_its_direction() -> None:
    base, low = hits((1, 5, 400), 2, 0.05, 0.3)[0], hits((1, 5, 400), 3, 0.05, 0.3, shift=-1.6)[0]
    higher, lower = differences([(base, low), (low, base)])
    assert (higher.verdict, lower.verdict) == ("higher", "lower")
    assert higher.interval.mean == pytest.approx(base.mean() - low.mean(), abs=1e-4)


def test_one_seed_never_claims_a_difference() -> None:
    base, low = hits((1, 1, 400), 2, 0.0, 0.3)[0], hits((1, 1, 400), 3, 0.0, 0.3, shift=-2.5)[0]
    shown, none = differences([(base, low), (base, base)])
    assert shown.interval.low > 0
    assert shown.verdict == "higher on these queries (one seed)"
    assert shown.interval.queries_only
    assert not shown.shown
    assert none.verdict == "no difference shown (one seed)"


def test_p_is_the_level_at_which_the_interval_touches_zero() -> None:
    values = hits((1, 4, 300), 8, 0.1, 0.4)[0] - hits((1, 4, 300), 9, 0.1, 0.4, shift=-0.95)[0]
    (shown,) = differences([(values, np.zeros_like(values))])
    assert 1e-6 < shown.p < 1
    assert float(spread(values).half_width(shown.p)) == pytest.approx(abs(shown.interval.mean), rel=1e-6)


def test_holm_against_its_definition() -> None:
    # ordered: 4 x 0.005 = 0.02; 3 x 0.01 = 0.03; 2 x 0.03 = 0.06; max(0.06, 1 x 0.04) = 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_what_holm_takes_back_is_named() -> None:
    inside = Interval(1.0, 0.1, 1.9, 0.5, 5)
    assert Difference(inside, 0.03, 0.09).verdict == "no difference shown (Holm)"
    assert Difference(inside, 0.01, 0.04).verdict == "higher"


def test_seeds_needed_agree_with_the_power_of_a_t_test() -> None:
    """Without query variance it is a paired t test: 80% power by the non-central t, independently."""
    for wanted, deviation in ((3.0, 3.5), (2.0, 1.0), (5.0, 3.5)):
        seeds = seeds_needed(wanted, deviation)
        assert seeds is not None

        def power(n: int, effect: float = wanted / deviation) -> float:
            limit = stats.t.ppf(0.975, n - 1)
            return float(stats.nct.sf(limit, n - 1, effect * math.sqrt(n)))

        smallest = next(n for n in range(2, 100) if power(n) >= 0.8)
        assert abs(seeds - smallest) <= 1


@pytest.mark.parametrize(("rows", "deviation"), [(1, 2.1), (7, 2.1), (7, 3.2)])
def test_the_number_of_seeds_shows_one_true_difference_of_a_whole_table(rows: int, deviation: float) -> None:
    """By simulation of the verdicts themselves: one row is 3 points above the base, the others are like it."""
    seeds = seeds_needed(3.0, deviation, rows=rows)
    assert seeds is not None
    random, tables, right = np.random.default_rng(rows), 400, 0
    for _ in range(tables):
        gaps = (
            deviation * random.standard_normal((rows, seeds, 1)) + np.array([3.0] + [0.0] * (rows - 1))[:, None, None]
        )
        verdicts = differences([(np.repeat(gap, 4, 1), np.zeros((seeds, 4))) for gap in gaps])
        right += verdicts[0].shown
    assert right / tables == pytest.approx(0.8, abs=0.07)  # three standard errors of 400 tables


def test_what_the_needed_seeds_can_show_is_what_was_wanted() -> None:
    needed = seeds_needed(3.0, 3.2, rows=7)
    assert needed is not None
    assert detectable(needed, 3.2, rows=7) <= 3.0 < detectable(needed - 1, 3.2, rows=7)


def test_a_table_that_is_read_again_as_seeds_come_in_errs_more_often_than_one_that_is_read_once() -> None:
    """Seven rows without any difference, read at 4, 8, 11 and 12 seeds as docs/ablations.md says of the mask ratios."""
    random, tables, at_the_end, at_any = np.random.default_rng(3), 400, 0, 0
    for _ in range(tables):
        base, rows = 1.9 * random.standard_normal((12, 1)), 2.2 * random.standard_normal((7, 12, 1))
        wrong = [any(gap.shown for gap in differences([(row[:seeds], base[:seeds]) for row in rows]))
                 for seeds in (4, 8, 11, 12)]  # fmt: skip
        at_the_end += wrong[-1]
        at_any += any(wrong)
    assert at_the_end / tables <= 0.083  # 5% and three standard errors of 400 tables
    assert 0.05 < at_any / tables < 0.2


def test_no_number_of_seeds_makes_up_for_too_few_queries() -> None:
    assert seeds_needed(1.0, 2.0, query_variance=1.0) is None


def test_where_nothing_was_found_the_interval_is_that_of_as_many_queries() -> None:
    """Of 0 in 50 Wilson's upper end is z^2 / (50 + z^2); three seeds that agree do not make it a certainty."""
    z = stats.norm.isf(0.025)
    top = 100 * z**2 / (50 + z**2)
    nothing, all_found = interval(np.zeros((3, 50))), interval(np.full((3, 50), 100.0))
    assert (nothing.low, nothing.high) == (0.0, pytest.approx(top))
    assert (all_found.low, all_found.high) == (pytest.approx(100 - top), 100.0)
    assert nothing.half == pytest.approx(top)


def test_the_number_after_the_sign_reaches_the_longer_end() -> None:
    assert Interval(mean=20.0, low=0.0, high=56.5, deviation=3.0, seeds=2).half == 36.5


def test_one_seed_with_several_captions_a_video_varies_as_its_videos_do() -> None:
    """Values are shares of 20 captions: the interval is that of the mean of 670 such values."""
    shares = 100 * np.random.default_rng(5).binomial(20, 0.4, size=(1, 670)) / 20
    expected = 1.96 * shares.std() / math.sqrt(670)
    assert interval(shares).half == pytest.approx(expected, rel=0.05)


def test_empty_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 x 1"):
        spread(np.zeros((3, 0)))
