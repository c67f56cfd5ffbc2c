"""The report in a real browser, at the width of a desk and of a phone, with mouse, keyboard and screen reader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis import report
from tests.analysis.figures.test_search import write_journal
from tests.analysis.folders import Builder, edit, write
from tests.analysis.html_report.browser import BINARY, Browser, browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BINARY is None, reason="needs Chromium (Debian: chromium)"),
]
UNLEARNED = {"loss": 0.96, "floor": 0.98, "learned": False}
YARDSTICKS = {"mvm": UNLEARNED, "mlm": UNLEARNED, "vtm": UNLEARNED, "vtc": UNLEARNED}  # the widest cell of the table
DESK, PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    builder = Builder(folder, queries=60, logs=True)
    sweep = json.loads(builder.sweep("mask_ratio", seeds=(0, 1), unfinished=[(3, 0)]).read_text())
    waiting = next(run["run"] for run in sweep["runs"] if (run["point"], run["seed"]) == (3, 0))
    error = "out of memory, see https://example.org/" + "a-word-without-an-end" * 40
    write(folder / "runs" / waiting / "failure.json", {"error": error})
    builder.sweep("objectives", seeds=(0, 1))
    for run in folder.glob("runs/*/result.json"):
        edit(run, lambda content: content.update(yardsticks=YARDSTICKS))
    write_journal(folder / "sweeps/search-tiny/study.journal", 12)
    assert report.main([str(folder)]) == 0
    return folder / "report.html"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_it_fits_the_window_asks_for_nothing_and_has_no_errors(
    page: Browser, path: Path, size: tuple[int, int]
) -> None:
    page.open(path, *size)
    assert page.run("document.documentElement.scrollWidth") <= size[0]
    small = page.run("[...document.querySelectorAll('main p, main li, main td')].map(e => "
                     "parseFloat(getComputedStyle(e).fontSize)).reduce((a, b) => Math.min(a, b))")  # fmt: skip
    assert small >= 11
    assert page.run("[...document.images].every(image => image.naturalWidth > 100)")
    requests = [
        event["params"]["request"]["url"] for event in page.events if event["method"] == "Network.requestWillBeSent"
    ]
    assert requests
    assert all(url.startswith(("file:", "data:")) for url in requests)
    wrong = [event for event in page.events if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
    assert wrong == []


def test_no_table_is_cut_at_the_width_of_a_desk_and_figures_use_the_page(page: Browser, path: Path) -> None:
    page.open(path, *DESK)
    page.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    cut = page.run("[...document.querySelectorAll('.scroll')].filter(box => box.scrollWidth > box.clientWidth + 1)"
                   ".map(box => box.getAttribute('aria-label'))")  # fmt: skip
    assert cut == []
    widths = page.run("[...document.querySelectorAll('figure.picture:not(.still) img')]"
                      ".map(image => image.getBoundingClientRect().width)")  # fmt: skip
    assert min(widths) >= 0.9 * DESK[0]


def test_differences_sort_by_their_numbers_with_the_base_at_nought(page: Browser, path: Path) -> None:
    page.open(path, *DESK)
    heads = "[...document.querySelectorAll('table.sortable')[0].querySelectorAll('th button')]"
    page.run(f"{heads}.find(button => button.textContent === 'difference').click()")
    column = page.run(f"{heads}.findIndex(button => button.textContent === 'difference')")
    rows = "[...document.querySelectorAll('table.sortable')[0].tBodies[0].rows]"
    texts = page.run(f"{rows}.map(row => row.cells[{column}].textContent.trim())")
    numbers = [0.0 if text == "base" else float(text.split()[0]) for text in texts]
    assert numbers == sorted(numbers)
    assert min(numbers) < 0 < max(numbers)


def test_a_heading_sorts_by_its_column_and_back(page: Browser, path: Path) -> None:
    page.open(path, *DESK)
    names = "[...document.querySelectorAll('table.sortable')[0].tBodies[0].rows].map(row => row.cells[0].textContent)"
    values = names.replace("cells[0].textContent", "cells[2].textContent.trim().split(' ')[0]")
    before = page.run(names)
    click = "document.querySelectorAll('table.sortable')[0].querySelectorAll('th button')[2].click()"
    state = "document.querySelectorAll('table.sortable th[aria-sort]')[2].getAttribute('aria-sort')"
    page.run(click)
    rising = [float(text) for text in page.run(values)]
    assert rising == sorted(rising)
    assert page.run(state) == "ascending"
    assert page.run("document.getElementById('said').textContent") == "R@1: ascending"
    page.run(click)
    assert [float(text) for text in page.run(values)] == rising[::-1]
    page.run(click)
    assert page.run(names) == before
    assert page.run(state) == "none"


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_points_speak_under_the_pointer_and_by_arrow_keys(page: Browser, path: Path, size: tuple[int, int]) -> None:
    page.open(path, *size)
    page.hover(".spots circle:nth-of-type(2)")
    assert not page.run("document.getElementById('tip').hidden")
    said = page.run("document.getElementById('tip').textContent")
    assert "R@1" in said
    box = page.run("(() => { const b = document.getElementById('tip').getBoundingClientRect();"
                   " return [b.left, b.top, b.right]; })()")  # fmt: skip
    assert box[0] >= 0
    assert box[1] >= 0
    assert box[2] <= size[0]
    focused = "document.activeElement.getAttribute('aria-label')"
    page.run("document.querySelector('.spots circle').focus()")
    first = page.run(focused)
    page.key("ArrowRight", 39)
    assert page.run(focused) != first
    assert page.run("document.getElementById('tip').textContent") == page.run(focused)
    page.key("ArrowLeft", 37)
    assert page.run(focused) == first


def test_figures_can_be_enlarged_and_left_by_keyboard(page: Browser, path: Path) -> None:
    page.open(path, *PHONE)
    page.run("document.querySelector('button.zoom').focus()")
    page.key("Enter", 13, "\r")
    width = "document.querySelector('#viewer img').getBoundingClientRect().width"
    assert page.run("document.getElementById('viewer').open")
    fitted = page.run(width)
    page.key("+", 187, "+")
    assert page.run(width) == pytest.approx(1.4 * fitted, rel=0.01)
    assert page.run("document.querySelector('#viewer output').textContent") == "140%"
    page.hover("#viewer .spots circle")
    assert page.run("document.getElementById('tip').closest('dialog') !== null")
    page.key("Escape", 27)
    assert not page.run("document.getElementById('viewer').open")
    assert page.run("document.activeElement.className") == "zoom"


def test_the_list_of_runs_can_be_filtered(page: Browser, path: Path) -> None:
    page.open(path, *DESK)
    page.run("document.getElementById('filter').focus()")
    page.call("Input.insertText", text="mask.video 0.5")
    shown = page.run("[...document.querySelectorAll('#all-runs tbody tr')].filter(row => !row.hidden)"
                     ".map(row => row.textContent)")  # fmt: skip
    assert len(shown) == 2
    assert all("mask.video 0.5" in text for text in shown)
    assert page.run("document.getElementById('shown').textContent") == "2 of 21"


def test_a_screen_reader_finds_a_name_on_all_that_can_be_reached(page: Browser, path: Path) -> None:
    page.open(path, *DESK)
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in nodes if not node.get("ignored")]
    roles = ("button", "link", "image", "table", "region", "searchbox", "heading", "group", "navigation")
    seen = {role: [node for node in shown if node["role"]["value"] == role] for role in roles}
    for role in ("button", "link", "image", "table", "region", "searchbox", "heading", "navigation"):
        assert seen[role], role
        assert all(node["name"]["value"].strip() for node in seen[role]), role
    figures = [node["name"]["value"] for node in seen["image"]]
    assert any("Video mask ratio" in name for name in figures)
    assert any("seed 1: R@1" in name for name in figures)
