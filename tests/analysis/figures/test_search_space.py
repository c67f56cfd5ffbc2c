"""All settings of a search beside each other, and its front."""

from __future__ import annotations

import warnings
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from analysis import plot, report
from analysis.figures import looks, search, search_space, style
from analysis.runs import journal
from tests.analysis.figures.words import cut, overlapping
from tests.analysis.folders import Builder, write

NAMES = ["validation R@1, text-to-video (%)", "pre-training (TFLOP)"]


def write_journal(path: Path, count: int = 12) -> Path:
    """R@1 grows with depth and with tube masks; so do the costs with depth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    study = optuna.create_study(
        study_name=path.parent.name, storage=JournalStorage(JournalFileBackend(str(path))),
        directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=3),
    )  # fmt: skip
    study.set_metric_names(NAMES)
    for _ in range(count):
        trial = study.ask()
        depth = trial.suggest_int("model.depth", 1, 6)
        kind = trial.suggest_categorical("mask.kind", ["tube", "frame", "random"])
        rate = trial.suggest_categorical("pretrain.lr", [1e-4, 1.2e-3, 1e-2])
        study.tell(trial, [10 + depth + 3 * (kind == "tube") + rate, depth / 2])
    return path


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return journal.read(write_journal(tmp_path / "sweeps/search-tiny/study.journal"))


@pytest.mark.parametrize(("name", "lying"), [("default", False), ("cvpr", False), ("acl", True)])
def test_axes_without_room_beside_each_other_lie_below_each_other(study: optuna.Study, name: str, lying: bool) -> None:
    style.apply(looks.of_style(name))
    figure = search_space.settings(study, "search-tiny")
    assert figure is not None
    (panel,) = figure.axes
    shown = panel.get_yticklabels() if lying else panel.get_xticklabels()
    assert [" ".join(text.get_text().split()) for text in shown] == [
        "model depth", "mask kind", "pre-training learning rate", "R@1 (%)",
    ]  # fmt: skip
    assert panel.yaxis_inverted() == lying  # R@1 is the last and lowest
    along, heights = panel.get_lines()[11].get_data()[:: -1 if lying else 1]
    assert list(along) == [0, 1, 2, 3]
    assert heights[-1] == 1.0  # the best of all
    assert cut(figure) == []
    assert overlapping(figure) == []


def test_a_line_for_each_trial_over_an_axis_for_each_setting(study: optuna.Study) -> None:
    style.apply()
    figure = search_space.settings(study, "search-tiny")
    assert figure is not None
    (panel,) = figure.axes
    lines = [line for line in panel.get_lines() if len(line.get_xdata()) == 4]
    best = journal.finished(study)[0]
    assert len(lines) == 12
    depths = {line.get_ydata()[0] for line in lines}
    assert (min(depths), max(depths)) == (0, 1)
    assert lines[-1].get_color() == style.RED
    assert lines[-1].get_ydata()[-1] == 1.0  # the best of all
    assert [text.get_text().replace("\n", " ") for text in panel.get_xticklabels()] == [
        "model depth", "mask kind", "pre-training learning rate", "R@1 (%)",
    ]  # fmt: skip
    assert f"the best, trial {best.number}, has model.depth {best.params['model.depth']}" in style.caption_of(figure)


def test_the_front_is_what_no_trial_beats(study: optuna.Study) -> None:
    style.apply()
    figure = search_space.front(study, "search-tiny")
    assert figure is not None
    (panel,) = figure.axes
    red = {(x, y) for line in panel.get_lines() if line.get_marker() == "o" and line.get_color() == style.RED
           for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}  # fmt: skip
    points = {(trial.values[1], trial.values[0]) for trial in study.get_trials()}
    beaten = {(x, y) for x, y in points if any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)}
    assert red == points - beaten
    assert (panel.get_ylabel(), panel.get_xlabel()) == (NAMES[0], NAMES[1])


def test_one_objective_has_no_front_and_two_trials_no_settings(tmp_path: Path) -> None:
    alone = optuna.create_study(direction="maximize")
    for depth in (1, 2):
        trial = alone.ask()
        trial.suggest_int("model.depth", depth, depth)
        alone.tell(trial, depth)
    assert search_space.front(alone, "x") is None
    assert search_space.settings(alone, "x") is None
    del tmp_path


def test_history_and_importance_are_of_the_first_objective(study: optuna.Study) -> None:
    style.apply()
    best = journal.value_of(journal.finished(study)[0])
    assert best == max(trial.values[0] for trial in study.get_trials())
    assert f"best {best:.1f} at trial" in style.caption_of(search.history(study, "x"))
    bars = search.importance(study, "x")
    assert bars is not None
    assert len(bars.axes[0].get_yticklabels()) == 3


def test_commands_know_a_search_of_any_name(tmp_path: Path) -> None:
    Builder(tmp_path, queries=50).sweep("data_fraction")
    write_journal(tmp_path / "sweeps/mine-tiny/study.journal")
    write(tmp_path / "sweeps/mine-tiny/search.json", {"name": "mine"})
    assert plot.main([str(tmp_path), "--only", "mine", "--format", "png"]) == 0
    made = {path.name for path in (tmp_path / "figures").glob("*.png")}
    assert made == {f"mine-tiny-{ending}.png" for ending in ("history", "importance", "settings", "front")}
    assert report.main([str(tmp_path)]) == 0
    assert "12 of 12 trials finished" in (tmp_path / "report.html").read_text()


def test_a_setting_that_a_trial_lacks_has_no_axis(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = journal.finished(study)
    del trials[3].params["mask.kind"], trials[5].params["model.depth"]
    monkeypatch.setattr(search_space, "finished", lambda _: trials)
    figure = search_space.settings(study, "search-tiny")
    assert figure is not None
    shown = [text.get_text().replace("\n", " ") for text in figure.axes[0].get_xticklabels()]
    assert shown == ["pre-training learning rate", "R@1 (%)"]
