"""What of a results folder is trusted, and what is left out and named."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.runs.load import Collection, load
from analysis.runs.schema import read_run
from analysis.stats.summary import summarise
from simvtp.errors import DataError
from tests.analysis.folders import Builder, edit, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Builder(tmp_path, queries=50).sweep("mask_ratio", seeds=(0, 1))
    return tmp_path


def a_run(folder: Path, label: str, seed: int) -> Path:
    sweep = json.loads((folder / "sweeps/mask_ratio-tiny/sweep.json").read_text())
    place = [point["label"] for point in sweep["points"]].index(label)
    (name,) = [run["run"] for run in sweep["runs"] if run["point"] == place and run["seed"] == seed]
    return folder / "runs" / name / "result.json"


def only_skip(collection: Collection) -> str:
    (skip,) = collection.skipped
    return f"{skip.where}: {skip.why}"


def test_a_whole_folder_is_read_without_complaint(folder: Path) -> None:
    results = load(folder)
    assert len(results.runs) == 14
    assert results.skipped == []
    assert [sweep.folder for sweep in results.sweeps] == ["mask_ratio-tiny"]


def test_a_result_cut_in_half_is_left_out_and_named(folder: Path) -> None:
    path = a_run(folder, "video 95%", 0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    results = load(folder)
    assert path.parent.name not in results.runs
    assert len(results.runs) == 13
    assert path.parent.name in only_skip(results)
    assert "not whole JSON" in only_skip(results)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda c: c.update(version=2), "version 2"),
        (lambda c: c.pop("version"), "version None"),
        (lambda c: c.update(run="0123456789ab"), "0123456789ab"),
        (lambda c: c.pop("ranks"), "lacks 'ranks'"),
        (lambda c: c["metrics"].pop("test"), "lacks 'test'"),
        (lambda c: c["ranks"]["test"].update(text_to_video=1), "ranks.test.text_to_video"),
        (lambda c: c["ranks"]["test"].update(text_to_video="list of ranks 9"), "result.json"),
        (lambda c: c["ranks"]["test"]["text_to_video"].__setitem__(0, None), "ranks.test.text_to_video"),
        (lambda c: c["ranks"]["test"]["text_to_video"].__setitem__(0, 0), "ranks.test.text_to_video"),
        (lambda c: c["ranks"]["test"]["video_to_text"].clear(), "ranks.test.video_to_text"),
        (lambda c: c["metrics"]["test"]["text_to_video"].update({"MdR": "nan"}), "MdR"),
        (lambda c: c["metrics"]["test"]["text_to_video"].update({"R@1": 99.0}), "its ranks give"),
        (lambda c: c.update(metrics=[1]), "result.json"),
        (lambda c: c["cost"].update(pretrain_seconds=float("nan")), "not whole JSON"),
    ],
)
def test_a_result_that_cannot_be_trusted_is_left_out(folder: Path, change: Callable[..., object], why: str) -> None:
    edit(a_run(folder, "text 15%", 1), change)
    results = load(folder)
    assert len(results.runs) == 13
    assert why in only_skip(results)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"text_to_video": [', '"text_to_video": [1.0,, ', "result.json"),
        ('"text_to_video": [', '"text_to_video": [1.0 2.0, ', "result.json"),
        ('"text_to_video": [', '"text_to_video": [0.5, ', "ranks.test.text_to_video is not a list of ranks"),
        ('"text_to_video": [', '"text_to_video": [true, ', "its ranks give"),
    ],
)
def test_ranks_that_are_no_plain_list_are_refused(folder: Path, old: str, new: str, why: str) -> None:
    path = a_run(folder, "text 15%", 1)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    results = load(folder)
    assert len(results.runs) == 13
    assert why in only_skip(results)


def test_ranks_are_read_as_json_reads_them(folder: Path) -> None:
    path = a_run(folder, "text 15%", 1)
    content = json.loads(path.read_text())
    ranks = content["ranks"]["test"]["text_to_video"]
    ranks[ranks.index(max(ranks))] = 3e1
    path.write_text(json.dumps(content, indent=1))
    run = read_run(path)
    assert run.ranks["text_to_video"].tolist() == content["ranks"]["test"]["text_to_video"]
    assert run.ranks["video_to_text"].tolist() == content["ranks"]["test"]["video_to_text"]


def test_a_result_in_another_runs_folder_is_left_out(folder: Path) -> None:
    wrong = folder / "runs" / "ffffffffffff"
    shutil.copytree(a_run(folder, "base", 0).parent, wrong)
    results = load(folder)
    assert len(results.runs) == 14
    assert "runs/ffffffffffff/" in only_skip(results)


def test_a_run_that_is_not_the_sweeps_point_is_not_averaged(folder: Path) -> None:
    edit(a_run(folder, "video 50%", 1), lambda c: c["config"].update({"pretrain.batch": 32}))
    results = load(folder)
    row = summarise(results.sweeps[0], results).rows[0]
    assert list(row.runs) == [0]
    assert "its pretrain.batch is 32, the sweep's 64" in only_skip(results)


def test_settings_of_the_machine_may_differ(folder: Path) -> None:
    edit(a_run(folder, "video 50%", 1), lambda c: c["config"].update({"machine.threads": 7}))
    assert load(folder).skipped == []


def test_runs_on_another_corpus_are_never_averaged_with_the_rest(folder: Path) -> None:
    edit(a_run(folder, "video 75%", 0), lambda c: c["corpus"].update(finetune="other"))
    results = load(folder)
    summary = summarise(results.sweeps[0], results)
    assert list(summary.rows[1].runs) == [1]
    assert "finetune corpus is other" in only_skip(results)
    assert "video 75%, seed 0" in summary.state()


def test_another_pretraining_corpus_is_noticed_too(folder: Path) -> None:
    edit(a_run(folder, "text 90%", 1), lambda c: c["corpus"].update(pretrain="other"))
    assert "pretrain corpus is other" in only_skip(load(folder))


def test_a_run_shared_with_a_point_of_other_but_idle_settings_counts(tmp_path: Path) -> None:
    """Without pre-training the mask cannot matter: the same id, though the configs differ."""
    builder = Builder(tmp_path, queries=50)
    builder.sweep("objectives")
    sweep = tmp_path / "sweeps/objectives-tiny/sweep.json"
    edit(sweep, lambda c: c["points"][0]["set"].update({"mask.video": 0.5}))
    results = load(tmp_path)
    assert results.skipped == []
    assert summarise(results.sweeps[0], results).rows[0].seeds == 1


def test_presets_are_sweeps_of_their_own(tmp_path: Path) -> None:
    Builder(tmp_path, queries=50).sweep("objectives")
    Builder(tmp_path, queries=60, preset="small").sweep("objectives")
    results = load(tmp_path)
    sizes = {sweep.folder: summarise(sweep, results).gallery for sweep in results.sweeps}
    assert sizes == {"objectives-small": 60, "objectives-tiny": 50}


def test_a_sweep_that_names_a_seed_twice_keeps_the_first(folder: Path) -> None:
    sweep = folder / "sweeps/mask_ratio-tiny/sweep.json"
    edit(sweep, lambda c: c["runs"].append({"point": 0, "seed": 0, "run": "0123456789ab"}))
    results = load(folder)
    assert "named twice; run 0123456789ab is left out" in only_skip(results)
    assert summarise(results.sweeps[0], results).rows[0].seeds == 2


@pytest.mark.parametrize("text", ['{"version": 1, "na', '{"version": 9}', "[]", '{"version": 1, "points": []}'])
def test_a_damaged_sweep_is_named_and_the_others_are_shown(folder: Path, text: str) -> None:
    (folder / "sweeps" / "broken").mkdir()
    (folder / "sweeps" / "broken" / "sweep.json").write_text(text)
    results = load(folder)
    assert [sweep.folder for sweep in results.sweeps] == ["mask_ratio-tiny"]
    assert "sweeps/broken/sweep.json" in only_skip(results)


def test_paper_has_no_table_of_its_own(folder: Path) -> None:
    write(folder / "sweeps/paper-tiny/sweep.json", {"version": 1, "name": "paper", "parts": ["mask_ratio-tiny"]})
    results = load(folder)
    assert [sweep.folder for sweep in results.sweeps] == ["mask_ratio-tiny"]
    assert results.skipped == []


def test_the_reference_inside_a_folder_is_not_part_of_it(folder: Path) -> None:
    Builder(folder / "reference", queries=50).sweep("objectives")
    assert len(load(folder).runs) == 14
    assert [sweep.name for sweep in load(folder / "reference").sweeps] == ["objectives"]


def test_an_empty_folder_is_refused_and_the_reference_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "repository" / "analysis" / "runs" / "load.py"
    monkeypatch.setattr("analysis.runs.load.__file__", str(module))
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError) as without:
        load(tmp_path / "mine")
    Builder(tmp_path / "repository" / "results" / "reference", queries=50).sweep("objectives")
    with pytest.raises(DataError) as beside:
        load(tmp_path / "mine")
    assert "results/reference/" not in str(without.value)
    assert "name results/reference/ instead of" in str(beside.value)


def test_failures_are_told_with_their_reason(tmp_path: Path) -> None:
    Builder(tmp_path, queries=50).sweep("mask_ratio", unfinished=[(3, 0)])
    sweep = json.loads((tmp_path / "sweeps/mask_ratio-tiny/sweep.json").read_text())
    write(tmp_path / "runs" / sweep["runs"][3]["run"] / "failure.json", {"error": "loss is NaN at step 7"})
    results = load(tmp_path)
    summary = summarise(results.sweeps[0], results)
    assert summary.missing == ["video 95%, seed 0 (failed: loss is NaN at step 7)"]
    assert summary.state().startswith("Unfinished: 6 of 7 runs are done.")


def test_a_long_error_of_several_lines_is_short_where_it_is_named(tmp_path: Path) -> None:
    Builder(tmp_path, queries=50).sweep("mask_ratio", unfinished=[(3, 0)])
    sweep = json.loads((tmp_path / "sweeps/mask_ratio-tiny/sweep.json").read_text())
    error = "CUDA out of memory.\n\nTried to allocate\x1b[0m 2.00 GiB. " + "GPU 0 has a total capacity. " * 30
    write(tmp_path / "runs" / sweep["runs"][3]["run"] / "failure.json", {"error": error})
    results = load(tmp_path)
    (whole,) = results.failures.values()
    assert whole.startswith("CUDA out of memory. Tried to allocate[0m 2.00 GiB. GPU 0")
    (missing,) = summarise(results.sweeps[0], results).missing
    assert len(missing) < 130
    assert "failed: CUDA out of memory. Tried to allocate" in missing


def test_failures_are_named_before_what_is_merely_waiting(tmp_path: Path) -> None:
    waiting = [(point, seed) for point in range(3) for seed in range(4)]
    Builder(tmp_path, queries=50).sweep("mask_ratio", seeds=range(4), unfinished=[*waiting, (6, 3)])
    sweep = json.loads((tmp_path / "sweeps/mask_ratio-tiny/sweep.json").read_text())
    (last,) = [run["run"] for run in sweep["runs"] if (run["point"], run["seed"]) == (6, 3)]
    write(tmp_path / "runs" / last / "failure.json", {"error": "loss is NaN"})
    results = load(tmp_path)
    assert "Missing: text 90%, seed 3 (failed: loss is NaN); " in summarise(results.sweeps[0], results).state()


def test_a_run_folder_that_cannot_be_opened_is_left_out_and_the_rest_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "runs" / "loop12345678").symlink_to("loop12345678")
    closed = a_run(folder, "base", 0)
    plain = Path.exists

    def exists(path: Path) -> bool:  # root, as which tests may run, can open everything
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return plain(path)

    monkeypatch.setattr(Path, "exists", exists)
    results = load(folder)
    assert len(results.runs) == 13
    assert only_skip(results) == f"runs/{closed.parent.name}/: cannot be read (Permission denied)"


def test_a_sweep_whose_base_was_changed_says_so_in_its_title(folder: Path) -> None:
    changes = '--set pretrain.length="1600 steps" --set=finetune.lr=0.002 --set machine.threads=1'
    edit(folder / "sweeps/mask_ratio-tiny/sweep.json", lambda content: content.update(command=f"run.py {changes}"))
    (sweep,) = load(folder).sweeps
    assert sweep.title == "mask ratio (finetune.lr=0.002, pretrain.length=1600 steps)"


def test_ranks_on_one_line_each_are_the_same_run(tmp_path: Path) -> None:
    Builder(tmp_path, queries=60).sweep("data_fraction")
    path = next(iter(tmp_path.glob("runs/*/result.json")))
    before = read_run(path)
    content = json.loads(path.read_text())
    one_line = re.compile(r"\[\n([^][{}]*)\]")
    text = one_line.sub(lambda match: f"[{' '.join(match[1].split())}]", json.dumps(content, indent=1))
    path.write_text(text)
    assert text.count("\n") < 250
    after = read_run(path)
    assert all((before.ranks[way] == after.ranks[way]).all() for way in before.ranks)
