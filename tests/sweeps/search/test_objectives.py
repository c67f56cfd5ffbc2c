"""A search of several objectives, over choices and whole numbers, under constraints: judged without training."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from optuna.trial import TrialState

from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.errors import ConfigError
from sweeps.search.space import Space, draw
from sweeps.search.trials import Trials, is_promoted
from sweeps.search_definition import FLOP, SAMPLERS, AtMost, Search, log_uniform, one_of, uniform
from tests.sweeps.search.test_trials import done, trials_in

SEVERAL = Search("R@1 and FLOP", (uniform("model.depth", 1, 4, 1), one_of("mask.kind", "tube", "frame", "random"),
                                  log_uniform("pretrain.batch", 16, 256), one_of("model.heads", 2, 3, 4)),
                 (Fraction(1, 3), Fraction(1)), minimise=(FLOP,), constraints=(AtMost(FLOP, 2.0),))  # fmt: skip
SIZE = override(preset("tiny"), {"model.width": 64, "model.heads": 4, "model.depth": 2, "pretrain.batch": 64,
                       "pretrain.length": "400 steps", "mask.kind": "tube"})  # fmt: skip


def train(trials: Trials) -> None:
    """Deep models with tube masks are the best."""
    while any(True for _ in trials.running()):
        for trial in trials.running():
            score = 10 * trial.params["model.depth"] + 3 * (trial.params["mask.kind"] == "tube")
            for run in trial.current_runs:
                trials.tell(run.id, done(score))
        trials.settle()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_several_objectives_with_choices_whole_numbers_and_constraints(sampler: str, tmp_path: Path) -> None:
    space = Space(replace(SEVERAL, sampler=sampler), SIZE, (0,))
    trials = trials_in(tmp_path, of=space)
    for _ in range(14):
        trials.ask()
        train(trials)
    limit = 2 * space.costs({})[0]
    assert trials.chosen == 14
    trained = [trial for trial in trials.trials if trial.rungs]
    assert trained[0].params == space.base_params()
    assert all(trial.costs[0] <= limit and trial.params["model.heads"] != 3 for trial in trained)
    others = [trial for trial in trials.trials if not trial.rungs]
    assert others
    assert all(space.costs({**trial.params, "model.heads": 4})[0] > limit or trial.params["model.heads"] == 3
               for trial in others)  # fmt: skip
    complete = [trial for trial in trained if trial.state == TrialState.COMPLETE]
    beaten = [one for one in complete if any(other.scores[-1] >= one.scores[-1] and other.costs[0] <= one.costs[0]
              and (other.scores[-1], other.costs) != (one.scores[-1], one.costs) for other in complete)]  # fmt: skip
    assert {trial.number for trial in trials.front()} == {t.number for t in complete} - {t.number for t in beaten}
    again = trials_in(tmp_path, of=space)  # as after a kill
    assert [vars(trial) for trial in again.trials] == [vars(trial) for trial in trials.trials]
    assert draw(again.study, space, seed=5) == draw(trials.study, space, seed=5)


def test_a_trial_that_nobody_beats_in_all_objectives_goes_on() -> None:
    third = Fraction(1, 3)
    others = [[9.0, -5.0], [8.0, -4.0], [7.0, -6.0]]
    assert is_promoted([1.0, -1.0], others, third)  # the cheapest
    assert is_promoted([9.5, -9.0], others, third)  # the best
    assert not is_promoted([7.0, -6.0], others, third)  # as good in both: the earlier one
    assert not is_promoted([6.0, -5.0], others, third)


def test_a_study_of_other_objectives_is_set_aside(tmp_path: Path) -> None:
    trials_in(tmp_path, of=Space(replace(SEVERAL, minimise=()), SIZE, (0,))).ask()
    assert trials_in(tmp_path, of=Space(SEVERAL, SIZE, (0,))).chosen == 0
    assert (tmp_path / "search-tiny/study.journal.old").exists()


def test_constraints_that_nothing_fulfils_are_named(tmp_path: Path) -> None:
    strict = Space(replace(SEVERAL, constraints=(AtMost(FLOP, 0.001),)), SIZE, (0,))
    with pytest.raises(ConfigError, match=r"none of 100 points fulfils the constraints \(.*pre-training \(TFLOP\)"):
        trials_in(tmp_path, of=strict).ask()
