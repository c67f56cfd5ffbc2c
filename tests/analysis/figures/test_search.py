"""The figures of a search, from a journal as Optuna writes it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from analysis import plot, report
from analysis.figures import looks, search, style
from analysis.figures.tooltips import spots
from analysis.runs import journal
from analysis.runs.schema import Unreadable
from tests.analysis.figures.words import cut, overlapping
from tests.analysis.folders import Builder, write


def write_journal(path: Path, trials: int, failed: tuple[int, ...] = ()) -> Path:
    """Validation R@1 = 40 video + text/10 exactly, so that video matters and text hardly does; one choice is idle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=path.parent.name, storage=JournalStorage(JournalFileBackend(str(path))), direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=3),
    )  # fmt: skip
    for number in range(trials):
        trial = study.ask()
        video, text = trial.suggest_float("mask.video", 0.3, 0.95), trial.suggest_float("mask.text", 0.1, 0.9)
        trial.suggest_categorical("mask.kind", ["tube"])
        trial.set_user_attr("run", f"run{number:09d}")
        study.tell(trial, None if number in failed else 40 * video + text / 10,
                   state=TrialState.FAIL if number in failed else None)  # fmt: skip
    return path


def test_history_shows_every_trial_and_the_best_so_far(tmp_path: Path) -> None:
    study = journal.read(write_journal(tmp_path / "sweeps/search-tiny/study.journal", 12, failed=(4, 7)))
    values = {trial.number: trial.value for trial in study.get_trials() if trial.value is not None}
    figure = search.history(study, "search-tiny")
    (panel,) = figure.axes
    points, best = panel.get_lines()[:2]
    assert dict(zip(points.get_xdata(), points.get_ydata(), strict=True)) == values
    assert max(values.values()) == best.get_ydata()[-1]
    assert list(best.get_ydata()) == sorted(best.get_ydata())
    assert style.caption_of(figure).startswith(
        f"Search-tiny, 10 of 12 trials finished: best {max(values.values()):.1f}"
    )
    assert (panel.get_legend(), len(figure.legends)) == (None, 1)  # in the panel it would lie on trials
    figure.canvas.draw()
    assert len(spots(figure)) == 10


def test_a_pruned_trial_stands_where_it_was_stopped(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "search-tiny/study.journal", 3)
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.load_study(study_name=optuna.get_all_study_names(storage)[0], storage=storage)
    trial = study.ask()
    trial.report(7.0, 1)
    trial.report(9.5, 2)
    study.tell(trial, state=TrialState.PRUNED)
    (panel,) = search.history(journal.read(path), "search-tiny").axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in panel.get_lines()}
    assert lines["pruned"] == [[3.0, 9.5]]
    assert lines["best so far"][-1][0] == 3.0


def test_best_trials_come_first(tmp_path: Path) -> None:
    study = journal.read(write_journal(tmp_path / "search-tiny/study.journal", 12, failed=(4,)))
    scores = [journal.value_of(trial) for trial in journal.finished(study)]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 11


def test_importance_finds_the_setting_that_matters(tmp_path: Path) -> None:
    study = journal.read(write_journal(tmp_path / "search-tiny/study.journal", 60))
    figure = search.importance(study, "search-tiny")
    assert figure is not None
    (panel,) = figure.axes
    widths = {
        tick.get_text(): bar.get_width() for tick, bar in zip(panel.get_yticklabels(), panel.patches, strict=True)
    }
    assert widths.keys() == {"mask.video", "mask.text"}
    assert widths["mask.video"] > 80
    assert sum(widths.values()) == pytest.approx(100)
    assert "mask.video mattered most" in style.caption_of(figure)


def test_importance_by_few_trials_is_called_a_hint(tmp_path: Path) -> None:
    figure = search.importance(journal.read(write_journal(tmp_path / "search-tiny/study.journal", 20)), "search-tiny")
    assert figure is not None
    assert "stands first, by 20 trials: a hint." in style.caption_of(figure)
    assert any("the best tenth, here 2, from the rest" in text.get_text().replace("\n", " ") for text in figure.texts)
    more = search.importance(journal.read(write_journal(tmp_path / "search-more/study.journal", 21)), "search-tiny")
    assert more is not None
    assert "mattered most to reach the best trials." in style.caption_of(more)


def test_importance_waits_for_enough_trials(tmp_path: Path) -> None:
    study = journal.read(write_journal(tmp_path / "search-tiny/study.journal", search.FEWEST - 1))
    assert search.importance(study, "search-tiny") is None


def test_a_line_that_is_being_written_is_left_out_and_the_journal_untouched(tmp_path: Path) -> None:
    path = write_journal(tmp_path / "search-tiny/study.journal", 9)
    path.write_bytes(path.read_bytes() + b'{"op_code": 4, "wor')
    before = path.read_bytes()
    assert len(journal.finished(journal.read(path))) == 9
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["study.journal"]


@pytest.mark.parametrize("text", ["", "nonsense\n", '{"op_code": 99}\n', json.dumps({"a": 1}) + "\n"])
def test_nonsense_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "search-tiny/study.journal"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(Unreadable, match=r"search-tiny/study.journal is not the journal of one study"):
        journal.read(path)


def test_plot_and_report_show_a_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Builder(tmp_path, queries=50).sweep("data_fraction")
    write_journal(tmp_path / "sweeps/search-tiny/study.journal", 12)
    for name in ("search", "search-tiny"):
        assert plot.main([str(tmp_path), "--only", name, "--format", "png"]) == 0
    made = {path.name for path in (tmp_path / "figures").iterdir()}
    assert made == {
        f"search-tiny-{name}.{end}" for name in ("history", "importance", "settings") for end in ("png", "txt")
    }
    assert report.main([str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text()
    assert "12 of 12 trials finished" in text
    assert text.count("<code>run0") == 10
    capsys.readouterr()
    (tmp_path / "sweeps/search-tiny/study.journal").write_text("nonsense\n")
    assert plot.main([str(tmp_path), "--only", "search"]) == 1
    assert "not the journal of one study" in capsys.readouterr().err


NAMES = ["validation R@1, text-to-video (%)", "pre-training (TFLOP)"]


def write_growing_journal(path: Path, count: int = 12) -> Path:
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
    return journal.read(write_growing_journal(tmp_path / "sweeps/search-tiny/study.journal"))


@pytest.mark.parametrize(("name", "lying"), [("default", False), ("cvpr", False), ("acl", True)])
def test_axes_without_room_beside_each_other_lie_below_each_other(study: optuna.Study, name: str, lying: bool) -> None:
    style.apply(looks.of_style(name))
    figure = search.settings(study, "search-tiny")
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
    figure = search.settings(study, "search-tiny")
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
    figure = search.front(study, "search-tiny")
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
    assert search.front(alone, "x") is None
    assert search.settings(alone, "x") is None
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
    write_growing_journal(tmp_path / "sweeps/mine-tiny/study.journal")
    write(tmp_path / "sweeps/mine-tiny/search.json", {"name": "mine"})
    assert plot.main([str(tmp_path), "--only", "mine", "--format", "png"]) == 0
    made = {path.name for path in (tmp_path / "figures").glob("*.png")}
    assert made == {f"mine-tiny-{ending}.png" for ending in ("history", "importance", "settings", "front")}
    assert report.main([str(tmp_path)]) == 0
    assert "12 of 12 trials finished" in (tmp_path / "report.html").read_text()


def test_a_setting_that_a_trial_lacks_has_no_axis(study: optuna.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = journal.finished(study)
    del trials[3].params["mask.kind"], trials[5].params["model.depth"]
    monkeypatch.setattr(search, "finished", lambda _: trials)
    figure = search.settings(study, "search-tiny")
    assert figure is not None
    shown = [text.get_text().replace("\n", " ") for text in figure.axes[0].get_xticklabels()]
    assert shown == ["pre-training learning rate", "R@1 (%)"]
