"""Metrics as values of queries: medians of ranks with intervals that cover the truth."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.stats.intervals import interval_of_ranks, spread
from analysis.stats.per_query import linearised_median

WORLDS, QUERIES = 400, 300


def ranks(shape: tuple[int, ...], seed: int, seed_sd: float, query_sd: float) -> np.ndarray:
    """[worlds, seeds, queries] of ranks from 1 to 400, whose logarithm has a seed part, a query part and the rest."""
    random = np.random.default_rng(seed)
    worlds, seeds, queries = shape
    latent = 2.5 + seed_sd * random.standard_normal((worlds, seeds, 1))
    latent = latent + query_sd * random.standard_normal((worlds, 1, queries)) + random.standard_normal(shape)
    return np.clip(np.ceil(np.exp(latent)), 1, 400).astype(np.float32)


def test_the_mean_of_the_values_is_the_median() -> None:
    for found in ([1, 1, 2, 5, 400], [3, 4, 9, 10], [1, 1, 1, 1]):
        assert linearised_median(np.float32(found)).mean() == pytest.approx(np.median(found))


@pytest.mark.parametrize("seeds", [3, 8])
@pytest.mark.parametrize(("seed_sd", "query_sd"), [(0.0, 0.7), (0.3, 0.7)])
def test_the_interval_covers_the_median_over_seeds_and_queries(seeds: int, seed_sd: float, query_sd: float) -> None:
    drawn = ranks((WORLDS, seeds, QUERIES), seeds, seed_sd, query_sd)
    many = ranks((1, 2000, 2000), 99, 0.0, query_sd)[0]
    truth = np.median(many)  # a seed moves the median up or down alike; ranks are whole, hence the half below
    covered = 0
    for world in drawn:
        found = interval_of_ranks(np.stack([linearised_median(row) for row in world]), 400)
        covered += found.low - 0.5 <= truth <= found.high + 0.5
    assert covered / WORLDS >= 0.917  # 95% less three standard errors


def test_the_query_part_is_that_of_a_drawn_paired_bootstrap() -> None:
    world = ranks((1, 4, 800), 5, 0.0, 0.9)[0]
    drawn = np.random.default_rng(1).integers(0, 800, (1500, 800))
    medians = np.median(world[:, drawn], axis=2)  # [seeds, resamples]
    found = spread(np.stack([linearised_median(row) for row in world]))
    assert float(found.queries_alone) == pytest.approx(np.cov(medians).mean(), rel=0.2)


def test_the_interval_ends_at_the_first_and_the_last_rank() -> None:
    found = interval_of_ranks(np.array([[1.0, 1, 1, 9], [1, 1, 9, 9]]), 9)
    assert (found.low, found.high) == (1.0, 9.0)
