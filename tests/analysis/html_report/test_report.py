"""The report as a reader gets it: what it says, that nothing is fetched, that nothing of a result becomes markup."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import itertools
import json
import re
import shlex
from pathlib import Path

import pytest

from analysis import report
from analysis.html_report import sections
from analysis.runs import provenance
from analysis.runs.load import load
from simvtp.config.formats import parse_assignments
from simvtp.config.presets import preset
from simvtp.config.run_id import run_id
from simvtp.config.schema import override
from tests.analysis.folders import Builder, write

EVIL = "<script>alert('x')</script> & \"quoted\""


class Page(html.parser.HTMLParser):
    """Tags with their attributes, ids, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.text += data

    def attributes(self, tag: str, name: str) -> list[str]:
        return [attributes[name] or "" for one, attributes in self.tags if one == tag and name in attributes]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("results")
    builder = Builder(place, queries=60, logs=True)
    builder.sweep("mask_ratio", seeds=(0, 1), unfinished=[(3, 0)])
    sweep = json.loads((place / "sweeps/mask_ratio-tiny/sweep.json").read_text())
    write(place / "runs" / sweep["runs"][6]["run"] / "failure.json",
          {"error": f"ValueError: {EVIL}", "traceback": f"Traceback\n  {EVIL}\n", "stage": "pretrain", "step": 7,
           "attempts": 2})  # fmt: skip
    sweep["title"] = f"Mask ratio {EVIL}"
    write(place / "sweeps/mask_ratio-tiny/sweep.json", sweep)
    code = {"commit": "abc123", "diff": "-old\n+new <b>"}
    environment = {
        "packages": {"torch": "2.13.0"},
        "python": "3.11.2",
        "gpu": None,
        "code": code,
        "host": "secret-host",
    }
    for name in list(builder.written)[:3]:
        write(place / "runs" / name / "environment.json", environment)
    (place / "figures").mkdir()
    pixel = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    (place / "figures" / "reconstruct-0123456789ab-clip-7.png").write_bytes(pixel)
    return place


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    assert report.main([str(folder)]) == 0
    return Page((folder / "report.html").read_text())


def test_nothing_is_fetched_from_anywhere(folder: Path, page: Page) -> None:
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; ")
    assert all(uri.startswith("data:image/") for uri in page.attributes("img", "src"))
    assert {"link", "iframe", "object", "form"}.isdisjoint(tag for tag, _ in page.tags)
    assert all(link.startswith("#") for link in page.attributes("a", "href"))
    text = (folder / "report.html").read_text()
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy


def test_what_results_say_never_becomes_markup(folder: Path, page: Page) -> None:
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert (folder / "report.html").read_text().count("alert(") == page.text.count("alert(") + sum(
        (value or "").count("alert(") for _, attributes in page.tags for value in attributes.values()
    )
    assert f"ValueError: {EVIL}" in page.text
    assert f"Traceback\n  {EVIL}" in page.text
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)


def test_every_link_of_the_page_has_its_place_and_ids_are_unique(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.attributes("a", "href")} <= set(ids)


def test_a_reader_without_eyes_or_mouse_gets_it_all(page: Page) -> None:
    assert ("html", {"lang": "en"}) in page.tags
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == 4  # level, cost, learning, reconstruction
    assert all(attributes.get("alt") for attributes in images)
    rebuilt = "Original, masked and rebuilt frames of video clip-7, by run 0123456789ab"
    assert images[-1]["alt"] == rebuilt
    tables = [tag for tag, _ in page.tags].count("table")
    assert [tag for tag, _ in page.tags].count("caption") == tables
    assert all(attributes.get("scope") in ("col", "row", "colgroup") for tag, attributes in page.tags if tag == "th")
    regions = [attributes for _, attributes in page.tags if attributes.get("class") == "scroll"]
    assert all(
        attributes["tabindex"] == "0" and attributes["aria-label"] and attributes["role"] == "region"
        for attributes in regions
    )
    labelled = [attributes["aria-labelledby"] for tag, attributes in page.tags if tag == "section"]
    assert set(labelled) <= {attributes.get("id") for _, attributes in page.tags}
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    circles = [attributes for tag, attributes in page.tags if tag == "circle"]
    assert all(attributes["aria-label"] for attributes in circles)
    assert sum(attributes["tabindex"] == "0" for attributes in circles) == 3  # one way in per drawn figure


def test_points_say_level_seed_and_run(folder: Path, page: Page) -> None:
    said = page.attributes("circle", "aria-label")
    results = load(folder)
    run = next(run for run in results.runs.values() if run.config["mask.video"] == 0.5 and run.config["seed"] == 1)
    assert any(f"video 50%, seed 1: R@1 {run.metric('R@1'):.1f}% (run {run.id})" in text for text in said)
    assert any(re.search(r"video 95%: R@1 [\d.]+% \[[\d., ]+\], 1 seed, queries only", text) for text in said)


def test_unfinished_failed_and_cost_are_told(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "13 finished runs in 1 sweep of preset tiny" in text
    assert "Unfinished: 13 of 14 runs are done. Missing: video 95%, seed 0 (failed: ValueError" in text
    assert "mask_ratio-tiny: video 95%, seed 0 (run " in text
    assert ", in pretrain, step 7, attempt 2" in text
    assert "--set mask.video=0.95 --results reproduced" in text
    assert "Nothing: every result was read" in text
    assert "Of 10 runs no environment was kept." in text
    assert "-old +new <b>" in text
    assert "secret-host" not in text


def test_commands_give_the_very_runs(folder: Path) -> None:
    for run in load(folder).runs.values():
        words = shlex.split(provenance.command(run))
        assert words[:5] == ["python", "-m", "simvtp.run", "--preset", "tiny"]
        assert words[-2:] == ["--results", "reproduced"]
        texts = [words[k + 1] for k, word in enumerate(words) if word == "--set"]
        assert run_id(override(preset("tiny"), parse_assignments(texts))) == run.id


def test_a_failed_run_that_this_code_cannot_give_says_why(tmp_path: Path) -> None:
    Builder(tmp_path, queries=50).sweep("mask_ratio", unfinished=[(3, 0)])
    path = tmp_path / "sweeps/mask_ratio-tiny/sweep.json"
    content = json.loads(path.read_text())
    run = content["runs"][3]["run"] = "0123456789ab"
    write(path, content)
    write(tmp_path / "runs" / run / "failure.json", {"error": "loss is NaN"})
    results = load(tmp_path)
    (failure,) = provenance.failures(tmp_path, results.failures, results.sweeps)
    assert failure.rows == ["mask_ratio-tiny: video 95%, seed 0"]
    assert failure.command == ""
    assert "another id than 0123456789ab" in failure.obstacle


def test_one_of_several_sweeps_is_said_to_be_one_of_them(tmp_path: Path) -> None:
    builder = Builder(tmp_path, queries=50)
    for name in ("mask_ratio", "objectives"):
        builder.sweep(name)
    assert report.main([str(tmp_path), "--only", "objectives"]) == 0
    assert "in 2 sweeps (1 shown here) of preset tiny" in (tmp_path / "report.html").read_text()


def test_a_run_that_this_code_cannot_give_has_no_command(folder: Path) -> None:
    run = next(iter(load(folder).runs.values()))
    with pytest.raises(ValueError, match="check out the commit"):
        provenance.command_of({**run.config, "pretrain.batch": 32}, "tiny", run.id)
    with pytest.raises(ValueError, match=r"mask\.colour: no plugin that is loaded has it"):
        provenance.command_of({**run.config, "mask.colour": 1}, "tiny", run.id)
    with pytest.raises(ValueError, match="preset 'huge'"):
        provenance.command_of(run.config, "huge", run.id)


def test_the_config_of_every_run_can_be_read_off(folder: Path) -> None:
    collection = load(folder)
    usual, lines = sections.all_runs(collection)
    assert len(lines) == 13
    for line in lines:
        config = collection.runs[line.id].config
        shown = {key: str(value) for key, value in usual[line.preset].items()} | dict(
            own.split(" ", 1) for own in line.own
        )
        assert shown == {key: str(value) for key, value in config.items()}


def test_shared_pretraining_costs_once(folder: Path) -> None:
    run = next(iter(load(folder).runs.values()))
    (cost,) = provenance.costs([run, run])
    assert (cost.runs, cost.stages) == (2, 1)
    assert cost.pretrain == pytest.approx(run.cost["pretrain_seconds"] / 3600)
    assert cost.finetune == pytest.approx(2 * 20 / 3600)


def test_the_same_folder_gives_the_same_bytes(folder: Path, page: Page, tmp_path: Path) -> None:
    assert page.text
    assert report.main([str(folder), "--output", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == (folder / "report.html").read_bytes()


def test_presets_have_sections_and_settings_of_their_own(tmp_path: Path) -> None:
    Builder(tmp_path, queries=50).sweep("data_fraction")
    Builder(tmp_path, queries=60, preset="small").sweep("data_fraction")
    assert report.main([str(tmp_path)]) == 0
    text = Page((tmp_path / "report.html").read_text()).text
    assert "presets small, tiny" in text
    assert "Presets are sweeps of their own" in text
    assert "Preset small:" in text
    assert "Preset tiny:" in text


def test_a_sweep_with_nothing_finished_is_shown_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    builder = Builder(tmp_path, queries=50)
    builder.sweep("data_fraction")
    builder.sweep("objectives", seeds=(5,), unfinished=[(k, 5) for k in range(5)])
    assert report.main([str(tmp_path)]) == 1
    assert "objectives-tiny: nothing finished yet" in capsys.readouterr().out
    assert "Unfinished: 0 of 5 runs are done." in (tmp_path / "report.html").read_text()
