from typing import Any

import pytest

from sweeps.state.run_summary import RunSummary, score, summarize


def result(**cost: Any) -> dict[str, Any]:
    metrics = {name: {"text_to_video": {"R@1": value}} for name, value in (("test", 12.5), ("validation", 14))}
    return {"metrics": metrics, "cost": {"pretrain_seconds": 7200.0, "finetune_seconds": 1800, "device": "cpu", **cost}}


def test_an_outcome_is_recall_and_hours() -> None:
    assert summarize(result()) == RunSummary(12.5, 14.0, 2.0, 0.5, "cpu")
    assert summarize(result(evaluate_seconds=900, devices=4)) == RunSummary(12.5, 14.0, 8.0, 3.0, "cpu")


@pytest.mark.parametrize(("value", "wanted"), [(14.0, 14.0), (float("nan"), None), (float("inf"), None)])
def test_a_study_is_told_validation_alone(value: float, wanted: float | None) -> None:
    assert score(RunSummary(99.0, value, 1.0, 1.0, "cpu")) == wanted
    assert score(None) is None


@pytest.mark.parametrize("missing", ["metrics", "cost"])
def test_a_result_that_lacks_a_part_is_no_outcome(missing: str) -> None:
    whole = result()
    del whole[missing]
    with pytest.raises(KeyError, match=missing):
        summarize(whole)
