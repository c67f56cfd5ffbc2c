"""A search without training: runs are given results by a formula, so every judgement can be worked out by hand."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import pytest
from optuna.trial import TrialState

from simvtp.config.code_version import OtherCode
from simvtp.config.run_id import run_id
from simvtp.config.schema import flatten, override
from simvtp.errors import ConfigError
from simvtp.runtime.files import write_json
from sweeps.ablations.search import SEARCH
from sweeps.plan import Plan
from sweeps.search.space import Space, at_share, chosen_axes, shares_of, shortened
from sweeps.search.trials import Trials, is_promoted
from sweeps.search_definition import Search, uniform
from sweeps.state.other_code import settle_search
from sweeps.state.run_states import RunState, RunSummary
from sweeps.study.storage import Copy, Database, Journal, parse
from tests.small_config import CONFIG

TINY = CONFIG
SMALL = Search("two masks", (uniform("mask.video", 0.5, 0.95, 0.05), uniform("mask.text", 0.15, 0.9, 0.05)),
               (Fraction(1, 3), Fraction(1)))  # fmt: skip


def space(seeds: tuple[int, ...] = (0,), search: Search = SMALL) -> Space:
    return Space(search, TINY, seeds)


def trials_in(folder: Path, place: Database | None = None, of: Space | None = None) -> Trials:
    return Trials(of or space(), folder / "search-tiny", place or Journal(folder / "search-tiny/study.journal"))


def done(score: float) -> RunState:
    """The best on the test is the worst on validation: whoever looks at the test chooses wrong."""
    return RunState("done", summary=RunSummary(100 - score, score, 0.1, 0.1, "cpu"))


def finish(trials: Trials, scores: dict[int, list[float]]) -> None:
    """Train what waits, trial by trial; scores[number] are those of its rungs, else 10 x the video ratio."""
    while True:
        for trial in trials.running():
            for run in trial.current_runs:
                trials.tell(run.id, done(scores.get(trial.number, [10 * trial.params["mask.video"]] * 2)[trial.passed]))
        if not trials.settle():
            return


@pytest.mark.parametrize(
    ("value", "others", "keep", "on"),
    [
        (0.0, [], Fraction(1, 3), True),  # the first at a rung has nobody to be judged by
        (5.0, [9.0], Fraction(1, 3), False),
        (9.5, [9.0], Fraction(1, 3), True),
        (5.0, [9.0, 8.0, 1.0, 2.0, 3.0], Fraction(1, 3), False),  # third of six; two places
        (8.5, [9.0, 8.0, 1.0, 2.0, 3.0], Fraction(1, 3), True),
        (9.0, [9.0], Fraction(1, 3), False),  # of equals the earlier one
        (5.0, [9.0, 8.0, 1.0], Fraction(1, 2), False),
        (8.5, [9.0, 8.0, 1.0], Fraction(1, 2), True),
    ],
)
def test_the_best_share_of_a_rung_goes_on(value: float, others: list[float], keep: Fraction, on: bool) -> None:
    assert is_promoted([value], [[other] for other in others], keep) is on


def test_a_rung_is_a_shorter_run_of_its_own_and_the_last_one_the_run_that_grids_train() -> None:
    third = flatten(at_share(TINY, Fraction(1, 3), "length"))
    assert {key: third[key] for key in third if third[key] != flatten(TINY)[key]} == {
        "pretrain.length": "133 steps", "pretrain.warmup": "13 steps",
        "finetune.length": "4 epochs", "finetune.warmup": "0.3333 epochs",
    }  # fmt: skip
    assert shortened("0 steps", Fraction(1, 9)) == "0 steps"
    assert shortened("4 steps", Fraction(1, 9)) == "1 steps"
    rungs = [space().runs({"mask.video": 0.9, "mask.text": 0.75}, share, "") for share in SMALL.shares]
    assert rungs[1][0].id == run_id(TINY)
    assert rungs[0][0].id != rungs[1][0].id
    assert rungs[0][0].stage != rungs[1][0].stage


def test_less_data_is_a_budget_only_where_it_costs_less() -> None:
    with pytest.raises(
        ConfigError, match=r"--budget data: pretrain\.length is '400 steps', so less data would cost no"
    ):
        Space(Search("", SMALL.axes, SMALL.shares, "data"), TINY, (0,))
    base = override(TINY, {"pretrain.length": "20 epochs"})
    space = Space(Search("", SMALL.axes, SMALL.shares, "data"), base, (0,))
    config = space.config({"mask.video": 0.5, "mask.text": 0.15}, Fraction(1, 3), 4)
    assert (config.data.fraction, config.pretrain.length, config.seed) == (0.333333, "20 epochs", 4)


def test_every_point_of_the_real_search_is_a_config_of_few_digits(tmp_path: Path) -> None:
    trials = trials_in(tmp_path, of=space(search=SEARCH))
    for _ in range(30):
        trials.ask()
    assert trials.trials[0].rungs[-1][0].id == run_id(TINY)  # the base comes first
    for trial in trials.trials:
        config = flatten(trial.rungs[-1][0].config)
        assert {key: config[key] for key in trial.params} == trial.params
        assert all(len(f"{value:.10g}".replace(".", "").strip("0")) <= 2 for value in trial.params.values())
    assert any(trial.params["objective.vtc"] == 0 for trial in trials.trials)
    assert len({trial.rungs[-1][0].id for trial in trials.trials}) == 30


def test_trials_are_judged_by_validation_and_pruned_at_the_first_rung(tmp_path: Path) -> None:
    trials = trials_in(tmp_path)
    for _ in range(4):
        trials.ask()
        finish(trials, {0: [5, 7], 1: [4, 99], 2: [6, 8], 3: [5, 99]})
    states = [(trial.state.name, trial.scores) for trial in trials.trials]
    assert states == [("COMPLETE", [5, 7]), ("PRUNED", [4]), ("COMPLETE", [6, 8]), ("PRUNED", [5])]
    best = trials.best()
    assert best is not None
    assert best.number == 2
    stored = Journal(tmp_path / "search-tiny/study.journal").open().get_all_trials(0)
    assert [trial.value for trial in stored] == [7, 4, 8, 5]
    assert [trial.intermediate_values for trial in stored] == [{0: 5, 1: 7}, {0: 4}, {0: 6, 1: 8}, {0: 5}]
    assert [trial.user_attrs["run"] for trial in stored] == [trial.rungs[-1][0].id for trial in trials.trials]


def test_a_value_is_the_mean_over_the_seeds(tmp_path: Path) -> None:
    trials = trials_in(tmp_path, of=space((0, 1)))
    first = trials.ask()
    for run, score in zip(first.current_runs, (4.0, 7.0), strict=True):
        assert not trials.settle()
        trials.tell(run.id, done(score))
    assert trials.settle()
    assert first.scores == [5.5]


def play(folder: Path, kill_every: int) -> list[tuple[str, dict[str, float], list[float]]]:
    """A search of ten trials, two at once; after every `kill_every` writes to the journal, a new one opens it."""
    trials = trials_in(folder)
    for count in range(200):
        if kill_every and count % kill_every == 0:
            old, trials = trials, trials_in(folder)
            trials.outcomes = {}
            del old
        for trial in trials.running():
            for run in trial.current_runs:
                trials.tell(run.id, done(50 * trial.params["mask.video"] + trial.number))
        if not trials.settle():
            if trials.chosen == 10:
                break
            for _ in range(2):
                trials.ask()
    return [(trial.state.name, trial.params, trial.scores) for trial in trials.trials]


def test_a_search_that_is_opened_again_and_again_chooses_and_judges_the_same(tmp_path: Path) -> None:
    assert play(tmp_path / "a", 0) == play(tmp_path / "b", 1)
    assert {state for state, _, _ in play(tmp_path / "a", 0)} == {"COMPLETE", "PRUNED"}


def test_a_kill_between_a_score_and_its_judgement_leads_to_the_same_judgement(tmp_path: Path) -> None:
    trials = trials_in(tmp_path)
    for _ in range(2):
        trials.ask()
    finish(trials, {0: [5, 7], 1: [1, 99]})
    third = trials.ask()
    trials.storage.set_trial_intermediate_value(trials._key(third), 0, 0.5)  # then it was killed
    again = trials_in(tmp_path)
    assert again.trials[2].passed == 0
    finish(again, {2: [0.5, 99]})
    assert again.trials[2].state == TrialState.PRUNED
    assert again.trials[2].scores == [0.5]


def test_a_failed_point_counts_once_and_is_tried_again_only_when_asked(tmp_path: Path) -> None:
    trials = trials_in(tmp_path)
    first = trials.ask()
    trials.tell(first.current_runs[0].id, RunState("failed", failure={"error": "x"}))
    trials.settle()
    assert first.state == TrialState.FAIL
    again = trials_in(tmp_path)
    assert (list(again.running()), again.chosen, [trial.number for trial in again.failed()]) == ([], 1, [0])
    again.retry(again.failed()[0])
    assert (again.chosen, again.failed(), again.trials[1].params) == (1, [], first.params)
    finish(again, {})
    assert again.trials[1].state == TrialState.COMPLETE


def test_a_lost_or_foreign_journal_is_made_again_from_the_points_on_record(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trials = trials_in(tmp_path)
    for _ in range(5):
        trials.ask()
        finish(trials, {})
    before = [(trial.params, trial.state, trial.scores) for trial in trials.trials]
    write_json(tmp_path / "search-tiny/search.json", {"trials": trials.points()})
    journal = tmp_path / "search-tiny/study.journal"
    for damage in (lambda: journal.unlink(), lambda: journal.write_text('{"op_code": 99}\n')):
        damage()
        again = trials_in(tmp_path)
        assert [trial.params for trial in again.trials] == [params for params, _, _ in before]
        finish(again, {})
        assert [(trial.params, trial.state, trial.scores) for trial in again.trials] == before
    assert "study.journal.old" in caplog.text


def test_looking_writes_nothing(tmp_path: Path) -> None:
    trials = trials_in(tmp_path)
    trials.ask()
    journal = tmp_path / "search-tiny/study.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code": 4, "wor')  # a line that is being written
    before = journal.read_bytes()
    look = Trials(space(), tmp_path / "search-tiny", Copy(Journal(journal), "search-tiny"))
    assert [trial.params for trial in look.trials] == [trial.params for trial in trials.trials]
    assert journal.read_bytes() == before
    assert [path.name for path in journal.parent.iterdir()] == ["study.journal"]


def test_a_database_serves_as_the_journal_does_and_leaves_a_copy_of_it(tmp_path: Path) -> None:
    database = parse(f"sqlite:///{tmp_path}/study.db")
    trials = trials_in(tmp_path, database)
    for _ in range(3):
        trials.ask()
    finish(trials, {})
    again = trials_in(tmp_path, database)
    assert [trial.scores for trial in again.trials] == [trial.scores for trial in trials.trials]
    again.close()
    copied = trials_in(tmp_path)  # from the journal
    assert [(t.params, t.state, t.scores) for t in copied.trials] == [
        (t.params, t.state, t.scores) for t in trials.trials
    ]
    with pytest.raises(ConfigError, match="its study search-tiny is of the results folder"):
        trials_in(tmp_path / "other" / "results", database)


def test_what_cannot_be_searched_is_said() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'mask\.video'"):
        chosen_axes(SEARCH.axes, "mask.vide")
    for text in ("1,1/3", "1/3", "0,1", "a", "1/0,1"):
        with pytest.raises(ConfigError, match="write rising shares"):
            shares_of(text)
    assert shares_of("1/9, 1/3,1") == (Fraction(1, 9), Fraction(1, 3), Fraction(1))
    with pytest.raises(ConfigError, match=r"finetune\.lr: 0\.0 cannot be searched by factors"):
        Space(SEARCH, override(TINY, {"finetune.lr": 0}), (0,))


def of_other_code(folder: Path, trials: Trials) -> Plan:
    """The plan of the trials, of which one run has a result without a record of its code."""
    run = trials.trials[0].rungs[0][0]
    write_json(folder / "runs" / run.id / "result.json", {"version": 1})
    return Plan("search", "search-tiny", "tiny", run.config, (0,), runs={run.id: run})


def test_a_search_of_other_code_is_named_and_refused_before_it_begins(tmp_path: Path) -> None:
    trials = trials_in(tmp_path / "sweeps")
    trials.ask()
    plan = of_other_code(tmp_path, trials)
    with pytest.raises(OtherCode, match=f"{trials.trials[0].rungs[0][0].id}.*--reuse-other-code.*--tag NAME$"):
        settle_search(plan, tmp_path)
    redo = dataclasses.replace(plan, base=override(plan.base, {"machine.other_code": "redo"}))
    with pytest.raises(ConfigError, match="--redo: the points of a search were chosen by"):
        settle_search(redo, tmp_path)
    settle_search(dataclasses.replace(plan, base=override(plan.base, {"machine.other_code": "reuse"})), tmp_path)
    settle_search(dataclasses.replace(plan, runs={}), tmp_path)
