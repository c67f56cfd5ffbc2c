"""docs/ablations.md says what results/reference holds: each number stands beside the row that it is of."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.figures import search

ROOT = Path(__file__).parent.parent.parent
REFERENCE = ROOT / "results" / "reference"
LINES = (ROOT / "docs" / "ablations.md").read_text().splitlines()
PAGE = " ".join(" ".join(LINES).split())
NAMES = sorted(path.stem for path in (REFERENCE / "tables").glob("*.md"))
LONG, RATES, WHOLE, SHORT = (
    "claims-tiny-fe7064",
    "claims-tiny-f8d310",
    "mask_ratio-tiny-bedbf6",
    "mask_ratio-tiny-f8c0eb",
)
DIFFERENCE, MEAN = r"[+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\]", r"\d+\.\d ± \d+\.\d"


@cache
def table(name: str) -> dict[str, dict[str, str]]:
    """Label of a row, without what stands in brackets -> heading -> cell, of a table as table.py wrote it."""
    text = re.sub(r"\*|_(?=\d)|(?<=\d)_", "", (REFERENCE / "tables" / f"{name}.md").read_text())
    heads, _, *rows = ([c.strip() for c in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|"))
    return {re.sub(r"^base \(.*\)$", "base", row[0]): dict(zip(heads, row, strict=True)) for row in rows}


@cache
def results(name: str) -> dict[str, dict[int, dict[str, Any]]]:
    """Label of a point -> seed -> result.json."""
    content = json.loads((REFERENCE / "sweeps" / name / "sweep.json").read_text())
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for run in content["runs"]:
        result = json.loads((REFERENCE / "runs" / run["run"] / "result.json").read_text())
        found.setdefault(content["points"][run["point"]]["label"], {})[run["seed"]] = result
    return found


def recall(name: str, label: str) -> dict[int, float]:
    """Seed -> text-to-video R@1 in percent on the test gallery."""
    return {seed: run["metrics"]["test"]["text_to_video"]["R@1"] for seed, run in results(name)[label].items()}


def level(name: str, label: str) -> str:
    return table(name)[label]["R@1 t→v"]


def gap(name: str, label: str) -> str:
    return table(name)[label]["difference"]


def ruling(name: str, label: str) -> str:
    """Difference and verdict, or 'base'."""
    row = table(name)[label]
    return row["difference"] + (f", {row['verdict']}" if row["verdict"] else "")


def summary() -> list[str]:
    """What the first section says."""
    steps, objectives, equal = "mask_ratio-tiny", "objectives-tiny", "mask_ratio_compute-tiny"
    lines = [
        f"none: {gap(steps, 'no pre-training')} | none, 1600 steps: {gap(LONG, 'no pre-training')} |",
        f"no VTC: {gap(objectives, 'MVM+MLM+VTM')} |",
        f"no VTM: {gap(objectives, 'MVM+MLM+VTC')} | no VTM, 1600 steps: {gap(LONG, 'no VTM')} |",
        "; ".join(f"{x}: {gap(steps, f'video {x}')}" for x in ("50%", "75%", "95%")) + " |",
        "equal compute: " + ", ".join(f"{x} {gap(equal, f'video {x}')}" for x in ("50%", "75%", "95%")) + " |",
        "; ".join(f"{x}: {gap(steps, f'text {x}')}" for x in ("15%", "50%", "90%")) + " |",
        f"15%, 1600 steps: {gap(LONG, 'text 15%')}, not shown in a table of five |",
        f"10%: {gap('data_fraction-tiny', 'data 10%')} | 1%: {gap('data_scarce-tiny', 'data 1%')} |",
        f"gains {gap('contrast_inputs-tiny', 'contrast clean')} at 2.2 times",
        f"and {gap('contrast_inputs_compute-tiny', 'contrast clean')} at equal compute",
        f"gains more ({gap('mask_grid-tiny', 'video 50%, text 15%')}, at 2.25 times",
        f"is {gap('mask_grid-tiny', 'video 50%, text 15%')} over its pair",
    ]
    shown = [(steps, "no pre-training"), (LONG, "no pre-training"), (objectives, "MVM+MLM+VTM"), (steps, "video 50%"),
             (steps, "video 95%"), (equal, "video 95%"), (steps, "text 15%"), (steps, "text 50%"), (steps, "text 90%"),
             ("data_scarce-tiny", "data 1%")]  # fmt: skip
    for name, label in shown:
        assert table(name)[label]["verdict"] in ("higher", "lower")
    for name, label in ((objectives, "MVM+MLM+VTC"), (LONG, "no VTM"), (steps, "video 75%"), (equal, "video 50%"),
                        (equal, "video 75%"), (LONG, "text 15%"), ("data_fraction-tiny", "data 10%")):  # fmt: skip
        assert table(name)[label]["verdict"].startswith("no difference shown")
    return lines


def rows() -> list[str]:
    """The rows of the tables of the other sections."""
    ratios = ["video 50%", "video 75%", "video 95%", "text 15%", "text 50%", "text 90%", "no pre-training"]
    steps = table("mask_ratio-tiny")
    told = {"base": "video 90%, text 75%"} | {label: label for label in ratios}
    found = [f"| {says} | {level('mask_ratio-tiny', label)} | {ruling('mask_ratio-tiny', label)} | "
             f"{steps[label]['MdR t→v']} |" for label, says in told.items()]  # fmt: skip
    triple = ("mask_ratio-tiny", SHORT, WHOLE)
    found.append("| base | " + " | ".join(level(name, "base") for name in triple) + " |")
    found += [f"| {label} | " + " | ".join(ruling(name, label) for name in triple) + " |" for label in ratios[:-1]]

    def plain(name: str, labels: dict[str, str]) -> None:
        found.extend(f"| {says} | {level(name, x)} | {ruling(name, x)} |" for x, says in labels.items())

    plain("mask_ratio_compute-tiny", {"base": "90%"} | {f"video {x}": x for x in ("50%", "75%", "95%")})
    plain("objectives-tiny", {"base": "MVM, MLM, VTC, VTM", "MVM+MLM+VTC": "MVM, MLM, VTC", "MVM+MLM+VTM":
          "MVM, MLM, VTM", "MVM+MLM": "MVM, MLM", "no pre-training": "nothing"})  # fmt: skip
    plain("data_fraction-tiny", {"base": "100%"} | {f"data {x}": x for x in ("50%", "25%", "10%")})
    plain("data_scarce-tiny", {"base": "100%"} | {f"data {x}": x for x in ("5%", "2%", "1%")})
    claims = ("video 75%", "text 15%", "no VTM", "data 10%", "no pre-training")
    found.append(f"| base | {level(RATES, 'base')} | |")
    plain(RATES, {label: label for label in claims})
    for label in ("base", *claims):
        seeds = ", ".join(f"{value:.1f}" for _, value in sorted(recall(LONG, label).items()))
        found.append(f"| {label} | {seeds} | {'' if label == 'base' else f'{ruling(LONG, label)} '}|")
    for name, label, says in (
        ("contrast_inputs-tiny", "contrast clean", "contrast of whole videos and captions ({n} seeds)"),
        ("contrast_inputs_compute-tiny", "contrast clean", "the same in 182 steps, the operations of the base ({n})"),
        ("towers-tiny", "towers shared", "one encoder for both sides ({n} seeds)"),
        *(("finetune_lr-tiny", f"rate {x}", f"fine-tuning rate {x} ({{n}})") for x in ("x0.25", "x0.5", "x2")),
    ):
        plain(name, {label: says.format(n=table(name)[label]["n"])})
    return found


def null() -> list[str]:
    """The table of sweeps without a difference."""
    found = {
        "mask_kind": {"kind frame": "(3 of 4 times, so 75% masked, at 1.42 times the operations)",
                      "kind random": "random tubes of every time"},
        "masked_words": {"words dropped": "left out of the encoder"},
        "negatives": {"negatives hard": "hard ones in matching"},
        "temperature": {f"temperature {x}": x for x in ("0.02", "0.1", "learned")},
        "loss_weights": {"mlm 2.0": "MLM x2", "mlm 0.5": "MLM x0.5"},
        "decoded_tubes": {f"decoded {x}": x for x in ("25%", "50%", "75%")},
        "decoder": {f"decoder {x}": x for x in ("width 16", "width 64", "depth 2", "depth 4")},
        "batch_lengths": {"order lengths": "captions of like length"},
    }  # fmt: skip
    for name in found:
        assert all(row["verdict"].startswith("no difference shown") or label == "base"
                   for label, row in table(f"{name}-tiny").items())  # fmt: skip
    return [f"{says} {gap(f'{name}-tiny', x)}" for name, labels in found.items() for x, says in labels.items()]


@pytest.mark.parametrize("phrases", [summary, rows, null])
def test_each_number_is_that_of_its_row(phrases: Any) -> None:
    assert [phrase for phrase in phrases() if phrase not in PAGE] == []


def test_no_interval_is_there_that_is_not_looked_up() -> None:
    left = PAGE
    for phrase in sorted((*summary(), *rows(), *null()), key=len, reverse=True):
        left = left.replace(phrase, "")
    left = re.sub(r"\| (15|50|75|90)% (\| \d+\.\d ± \d+\.\d( \*| \(base\))? ){4}\|", "", left)  # the grid, tested below
    assert re.findall(f"{DIFFERENCE}|{MEAN}", left) == []


def test_the_grid_shows_each_pair_in_its_place() -> None:
    for text in ("15%", "50%", "75%", "90%"):
        cells = []
        for video in ("50%", "75%", "90%", "95%"):
            base = (video, text) == ("90%", "75%")
            row = table("mask_grid-tiny")["base" if base else f"video {video}, text {text}"]
            mark = " (base)" if base else " *" if row["verdict"] in ("higher", "lower") else ""
            cells.append(row["R@1 t→v"] + mark)
        assert f"| {text} | {' | '.join(cells)} |" in LINES


def test_every_sweep_is_on_the_page_with_its_command_and_its_seeds() -> None:
    commands = [sorted(shlex.split(line)) for line in LINES if line.startswith("python sweeps/run.py")]
    power = r"(\d+) seeds show a true difference of (\S+) points .*; one of 3 points takes about (\d+) seeds"
    for name in NAMES:
        content = json.loads((REFERENCE / "sweeps" / name / "sweep.json").read_text())
        assert sorted(shlex.split(content["command"])) in commands, name
        found = re.search(power, (REFERENCE / "tables" / f"{name}.md").read_text())
        assert found, name
        assert any(line.startswith(f"| `{name}` | {found[1]} | {found[2]} | {found[3]} |") for line in LINES), name


def contrast(*parts: tuple[int, str, str], seeds: range) -> tuple[float, float, float]:
    """Mean over seeds of a sum of signed R@1 with its t interval."""
    gaps = np.array([sum(sign * recall(name, label)[seed] for sign, name, label in parts) for seed in seeds])
    half = stats.t.ppf(0.975, len(seeds) - 1) * gaps.std(ddof=1) / np.sqrt(len(seeds))
    return float(gaps.mean()), float(gaps.mean() - half), float(gaps.mean() + half)


@pytest.mark.parametrize(
    ("sentence", "labels"),
    [
        ("From video 90% to 50% it is {:.1f} points more at text 15% than at text 75%, [{:+.1f}, {:+.1f}]",
         ("video 50%, text 15%", "video 90%, text 15%", "video 50%, text 75%", "base")),
        ("from 95% to 50% {:.1f} points more at text 15% than at text 90%, [{:+.1f}, {:+.1f}]",
         ("video 50%, text 15%", "video 95%, text 15%", "video 50%, text 90%", "video 95%, text 90%")),
    ],
)  # fmt: skip
def test_the_ratios_interact_by_as_much_as_it_says(sentence: str, labels: tuple[str, ...]) -> None:
    parts = [(sign, "mask_grid-tiny", label) for sign, label in zip((1, -1, -1, 1), labels, strict=True)]
    assert sentence.format(*contrast(*parts, seeds=range(4, 11))) in PAGE


def test_whole_inputs_against_little_masked_text_at_equal_compute() -> None:
    whole = (1, "contrast_inputs_compute-tiny", "contrast clean")
    found = contrast(whole, (-1, "mask_ratio-tiny", "text 15%"), seeds=range(12))
    assert "({:+.1f} points over twelve seeds, [{:+.1f}, {:+.1f}])".format(*found) in PAGE


@pytest.mark.parametrize(
    ("masked", "seeds", "sentence"),
    [
        (SHORT, range(8), "{:.1f} points smaller, [{:+.1f}, {:+.1f}], than with masked inputs in as many steps"),
        ("mask_ratio-tiny", range(10), "{:.1f} points smaller, [{:+.1f}, {:+.1f}], than in 400 steps (ten)"),
    ],
)
def test_what_whole_inputs_take_from_the_gain_of_text_15(masked: str, seeds: range, sentence: str) -> None:
    parts = [(1, masked, "text 15%"), (-1, masked, "base"), (-1, WHOLE, "text 15%"), (1, WHOLE, "base")]
    assert sentence.format(*contrast(*parts, seeds=seeds)) in PAGE


def test_controls_and_runs_that_never_took_off() -> None:
    runs = {run["run"]: run for name in ("mask_ratio-tiny", "objectives-tiny", "data_fraction-tiny")
            for seeds in results(name).values() for run in seeds.values()}.values()  # fmt: skip
    trained = [run for run in runs if run["pretrain"] is not None and run["config"]["objective.vtc"] > 0]
    frozen, shuffled, calm = (
        np.mean([run[where][kind]["text_to_video"]["R@1"] for run in trained])
        for where, kind in (("controls", "frozen_frames"), ("controls", "shuffled_frames"), ("metrics", "test"))
    )
    assert (
        f"falls to {frozen:.1f}% and with frames shuffled to {shuffled:.1f}% (means over all {len(trained)} runs of "
        f"the paper's ablations with pre-training and VTC; {calm:.1f}% undisturbed)"
    ) in PAGE
    assert min(run["metrics"]["test"]["text_to_video"]["R@1"] for run in trained) >= 1
    failed = [sum(value < 1 for value in recall("objectives-tiny", label).values())
              for label in ("no pre-training", "MVM+MLM+VTM", "MVM+MLM")]  # fmt: skip
    assert (
        f"R@1 stays below 1% in {failed[0]} of {len(recall('objectives-tiny', 'base'))} seeds without pre-training, "
        f"{failed[1]} with MVM, MLM and VTM, and {failed[2]} with MVM and MLM; in none of {len(trained)} runs "
        "pre-trained with VTC"
    ) in PAGE


def losses(name: str, label: str, loss: str, digits: int) -> str:
    found = [run["losses"][loss] for run in results(name)[label].values()]
    return f"{min(found):.{digits}f} to {max(found):.{digits}f}"


def test_losses_and_operations() -> None:
    assert f"by seed, where guessing has 0.69; after 1600 steps it is {losses(LONG, 'base', 'vtm', 2)}" in PAGE
    assert f"Its loss at the last steps is {losses('objectives-tiny', 'base', 'vtm', 2)} by seed" in PAGE
    assert losses("objectives-tiny", "base", "mvm", 2) == "0.98 to 0.98"
    masked, whole = (losses("contrast_inputs-tiny", label, "vtc", 1) for label in ("base", "contrast clean"))
    few = losses("contrast_inputs_compute-tiny", "contrast clean", "vtc", 1)
    assert f"ends at {masked} after 400 steps, that of whole inputs at {whole}, and at {few} after 182" in PAGE
    names = ("mask_ratio-tiny", "mask_kind-tiny", "contrast_inputs-tiny", "decoded_tubes-tiny", "decoder-tiny")
    base = results("mask_ratio-tiny")["base"][0]["cost"]["pretrain_gflop"]
    cost = {(name, label): runs[0]["cost"]["pretrain_gflop"] / base
            for name in names for label, runs in results(name).items()}  # fmt: skip
    assert f"{cost['mask_ratio-tiny', 'video 50%']:.2f}" == "2.25"
    assert f"{cost['mask_kind-tiny', 'kind frame']:.2f}" == "1.42"
    assert f"{cost['contrast_inputs-tiny', 'contrast clean']:.1f}" == "2.2"
    assert f"{cost['decoded_tubes-tiny', 'decoded 25%']:.2f}" == "0.80"
    widths = [cost["decoder-tiny", f"decoder {x}"] for x in ("width 16", "width 64", "depth 2", "depth 4")]
    assert f"decoder width 16 {widths[0]:.2f}, greater widths and depths {min(widths[1:]):.2f} to" in PAGE
    assert f"to {max(widths[1:]):.2f}: the cheaper ones" in PAGE


def test_the_search_and_its_best_trial_on_other_seeds() -> None:
    study = search.read(REFERENCE / "sweeps" / "search-tiny" / "study.journal")
    trials = sorted(search.finished(study), key=lambda trial: trial.number)
    lines = []
    for trial in trials:
        video, text, mlm, vtc, vtm, *rates = trial.params.values()
        slow, fast = (round(rate, 4) for rate in rates)
        lines.append(f"| {trial.number}{'' if trial.number else ' (base)'} | {search.value_of(trial):.1f} | "
                     f"{video:.0%}, {text:.0%} | {mlm:g}, {vtc:g}, {vtm:g} | {slow:g}, {fast:g} |")  # fmt: skip
    assert [line for line in LINES if re.match(r"\| \d+( \(base\))? \| \d\d\.\d \|", line)] == lines
    pruned = sum(trial.state.name == "PRUNED" for trial in study.trials)
    assert len(trials) == 9
    assert f"{pruned} trials were pruned; the nine that were not" in PAGE
    best = json.loads((REFERENCE / "runs" / trials[3].user_attrs["run"] / "result.json").read_text())
    runs = [json.loads(path.read_text()) for path in (REFERENCE / "runs").glob("*/result.json")]
    like = {run["config"]["seed"]: run["metrics"]["test"]["text_to_video"]["R@1"] for run in runs
            if {**run["config"], "seed": 0} == best["config"]}  # fmt: skip
    first, *others = (f"{like[seed]:.1f}" for seed in range(5))
    assert (
        f"its test R@1 was {first} on the seed searched and {', '.join(others[:-1])} and {others[-1]} on seeds 1 to 4"
    ) in PAGE
