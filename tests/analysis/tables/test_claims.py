"""The paper's claims: what each rule makes of rows whose differences are known."""

from pathlib import Path
from typing import Any

import pytest

from analysis.runs.load import load
from analysis.stats.summary import summarise
from analysis.tables import claims
from simvtp.config.presets import preset
from simvtp.errors import DataError
from sweeps.ablations.claims import SWEEP
from sweeps.definition import BASE
from tests.analysis.folders import Builder, edit


def verdicts(folder: Path) -> dict[str, str]:
    results = load(folder)
    return {words: verdict for words, _, verdict in claims.rows(summarise(results.sweeps[0], results))}


def measured(folder: Path, learned: bool) -> Path:
    """A sweep of claims whose runs have yardsticks: MLM learned or not, all others learned."""

    def add(result: dict[str, Any]) -> None:
        names = {"mvm": True, "mlm": learned, "vtc": True, "vtm": True}
        result["yardsticks"] = {name: {"loss": 1.0, "floor": 2.0, "learned": is_so} for name, is_so in names.items()}

    builder = Builder(folder, deviation=1.0)
    builder.sweep("claims", seeds=(0, 1, 2, 3, 4, 5))
    for path in builder.written.values():
        edit(path, add)
    return folder


def test_each_rule_decides_by_the_shown_differences(tmp_path: Path) -> None:
    assert list(verdicts(measured(tmp_path, learned=True)).values()) == [
        "agrees",  # 50% as good, 75% lower
        "agrees",
        "disagrees",  # 15% higher, though 50% is lower
        "agrees",
        "agrees",
        "undecided",  # without VTM as good
        "agrees",
        "disagrees",  # a tenth of the epochs is far below the margin
        "agrees",
        "disagrees",  # all compute in fine-tuning is higher
    ]


def test_a_claim_about_an_objective_that_is_not_learned_is_not_testable(tmp_path: Path) -> None:
    actual = verdicts(measured(tmp_path, learned=False))
    assert actual["a high text ratio (75%) is best"] == "not testable: MLM not learned"
    assert actual["a high video ratio (90%) is best: equal steps"] == "agrees"
    assert actual["pre-training helps: equal fine-tuning"] == "not testable: MLM not learned"


def test_one_seed_decides_nothing(tmp_path: Path) -> None:
    def add(result: dict[str, Any]) -> None:
        result["yardsticks"] = {name: {"loss": 1.0, "floor": 2.0, "learned": True} for name in claims.ALL}

    builder = Builder(tmp_path)
    builder.sweep("claims", unfinished=[(1, 0)])
    for path in builder.written.values():
        edit(path, add)
    actual = list(verdicts(tmp_path).values())
    assert actual[0] == "not run yet"
    assert set(actual[1:]) == {"undecided"}


def test_the_sweep_has_every_row_that_a_claim_names(tmp_path: Path) -> None:
    labels = {point.label for point in SWEEP.points_around(preset("evidence"))} - {BASE.label}
    assert {label for claim in claims.CLAIMS for label in claim.rows} == labels
    Builder(tmp_path).sweep("mask_ratio")
    with pytest.raises(DataError, match="it is no sweep of claims"):
        verdicts(tmp_path)
