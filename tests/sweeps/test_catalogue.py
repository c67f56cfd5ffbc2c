"""Sweeps in files of your own: found wherever they are, and refused by the name of the file."""

from pathlib import Path

import pytest

from simvtp.config.presets import preset
from simvtp.errors import ConfigError
from sweeps.catalogue import ABLATIONS, find, from_file, is_file
from sweeps.definition import Sweep
from sweeps.plan import make_plan
from sweeps.search_definition import Search

PLAIN = """
from sweeps.definition import Sweep, choices
SWEEP = Sweep("Mine", points=choices("mask.video", (0.5, 0.6)))
"""
ANNOTATED = """
from sweeps.definition import Point, Sweep
from beside import SHARES

def points(base):
    return [Point(f"{share} of the rate", {"pretrain.lr": share * base.pretrain.lr}) for share in SHARES]

SWEEP: Sweep = Sweep("Mine", points=points)
"""
SEARCH = """
from sweeps.search_definition import Search, uniform
SEARCH = Search("Mine", (uniform("mask.video", 0.5, 0.9, 0.1),))
"""


def written(folder: Path, text: str, name: str = "my_study.py") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_file_is_a_sweep_of_its_name(tmp_path: Path) -> None:
    name, sweep = from_file(written(tmp_path, PLAIN))
    assert isinstance(sweep, Sweep)
    (table,) = make_plan(name, "tiny", preset("tiny"), (0,), sweep).tables
    assert (table.name, table.folder, table.axes) == ("my_study", "my_study-tiny", ("mask.video",))
    assert [(point.label, point.set) for point in table.points] == [
        ("base", {}), ("video 50%", {"mask.video": 0.5}), ("video 60%", {"mask.video": 0.6}),
    ]  # fmt: skip


def test_an_annotated_one_that_imports_from_its_folder(tmp_path: Path) -> None:
    written(tmp_path, "SHARES = (0.5, 2)", "beside.py")
    name, sweep = from_file(written(tmp_path, ANNOTATED))
    assert isinstance(sweep, Sweep)
    base = preset("tiny")
    (table,) = make_plan(name, "tiny", base, (0,), sweep).tables
    assert [point.set.get("pretrain.lr") for point in table.points] == [
        None, 0.5 * base.pretrain.lr, 2 * base.pretrain.lr,
    ]  # fmt: skip


def test_a_search_is_found_as_well(tmp_path: Path) -> None:
    name, search = from_file(written(tmp_path, SEARCH, "my_search.py"))
    assert (name, type(search)) == ("my_search", Search)


def test_a_file_of_the_ablations_goes_by_its_name_too() -> None:
    assert from_file(str(ABLATIONS / "mask_kind.py")) == ("mask_kind", find("mask_kind"))


def test_paths_and_names() -> None:
    assert [is_file(text) for text in ("a.py", "./a", "b/a.py", "mask_ratio")] == [True, True, True, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SWEEP = 3", "its SWEEP is of type int, not Sweep"),
        ("x = 1", "neither SWEEP nor SEARCH"),
        (PLAIN.replace("SWEEP =", "MINE ="), "MINE of it is one: call it so"),
        (PLAIN + "SEARCH = None", "both SWEEP and SEARCH"),
        ("x = \n", "my_study.py, line 1: invalid syntax"),
        ("\nimport nowhere_at_all", "my_study.py, line 2: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (PLAIN.replace("mask.video", "mask.vide"), "my_study.py, line 3: unknown config key 'mask.vide'"),
        (PLAIN.replace("0.6", "1.6"), r"my_study.py, line 3: mask.video: 1.6 is not possible; it takes a number in [0"),
        (PLAIN.replace("points", "axes=('mask.vide',), points"), "did you mean 'mask.video'"),
        (
            PLAIN.replace("(0.5, 0.6)", "0.5"),
            "mask.video: 0.5 is one value; give a list of values, such as [0.5]",
        ),
        (PLAIN.replace("mask.video", "mask.kind").replace("(0.5, 0.6)", "'tube'"), "mask.kind: 'tube' is one value"),
        (PLAIN.replace("mask.video", "pretrain.length").replace("(0.5, 0.6)", "[400]"), "length: 400 is not text"),
        (PLAIN.replace("points=", ""), "line 3: TypeError: Sweep.__init__() takes 2 positional arguments"),
        (PLAIN.replace('choices("mask.video", (0.5, 0.6))', "3"), "line 3: TypeError: 'int' object is not iterable"),
    ],
)
def test_what_a_file_may_not_say(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, text)
    monkeypatch.chdir(tmp_path)
    for typed in (path, "my_study.py"):  # a relative path too
        with pytest.raises(ConfigError) as caught:
            from_file(typed)
        assert message in str(caught.value)
        assert str(caught.value).startswith(typed)


POINTS = """
from sweeps.definition import Point, Sweep
SWEEP = Sweep("Mine", points=lambda base: {points})
"""


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("[base.mask.vide]", "my_study.py, line 3: AttributeError"),
        ("[Point('a', {'mask.vide': 1})]", "sweep my_study: point 'a': unknown config key 'mask.vide'"),
        ("[Point('a', {'mask.video': 2})]", "sweep my_study: point 'a': mask.video: 2.0 is not possible"),
        ("[Point('a', {'mask.video': .1}), Point('a', {'mask.video': .2})]", "label 'a' stands for two points"),
        ("[Point('', {'mask.video': .1})]", "line 3: the label of a point is one line of text, not ''"),
        (r"[Point('a\nb', {'mask.video': .1})]", r"the label of a point is one line of text, not 'a\nb'"),
        ("[Point(5, {'mask.video': .1})]", "the label of a point is one line of text, not 5"),
        ("[Point('a', 'mask.video')]", "point 'a': its settings are field: value pairs, not 'mask.video'"),
        ("[{'mask.video': .1}]", "a point is made by Point(label, {field: value}), and {'mask.video': 0.1} is none"),
        ("[Point('a', {'mask.video': .1, 'seed': 0})]", "point 'a': each seed of --seeds trains every point"),
        ("[Point('a', {'machine.threads': 2})]", "point 'a': machine.threads changes no result; take it with --set"),
        ("[Point('base', {'mask.video': .1})]", "label 'base' stands for two points, the base and mask.video=0.1"),
    ],
)
def test_what_its_points_may_not_be(points: str, message: str, tmp_path: Path) -> None:
    name, sweep = from_file(written(tmp_path, POINTS.replace("{points}", points)))
    assert isinstance(sweep, Sweep)
    with pytest.raises(ConfigError) as caught:
        make_plan(name, "tiny", preset("tiny"), (0,), sweep)
    assert message in str(caught.value)


def test_points_from_a_generator_are_there_each_time(tmp_path: Path) -> None:
    points = "(Point(f'v{share}', {'mask.video': share}) for share in (0.1, 0.2))"
    text = POINTS.replace("lambda base: {points}", points)
    _, sweep = from_file(written(tmp_path, text))
    assert isinstance(sweep, Sweep)
    for _ in range(2):
        assert [point.label for point in sweep.points_around(preset("tiny"))] == ["base", "v0.1", "v0.2"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope.py", "this file is not there"),
        ("", "this file is a folder"),
        ("notes.txt", "whose name ends with .py"),
        ("mask_ratio.py", "sweeps/ablations/ has a sweep mask_ratio already"),
        ("a b.py", "'a b' is not possible"),
    ],
)
def test_files_that_are_none(name: str, message: str, tmp_path: Path) -> None:
    if name not in ("", "nope.py"):
        written(tmp_path, PLAIN, name)
    with pytest.raises(ConfigError, match=message):
        from_file(str(tmp_path / name))


def test_a_name_that_is_not_known_is_a_file_perhaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, PLAIN)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"unknown sweep 'my_study'; .*\./my_study\.py"):
        find("my_study")
