"""Text of results folders on one line, as printable text, and as a file name."""

from __future__ import annotations

from analysis.runs.text import changed_settings, file_name, is_plain_name, one_line, printable


def test_control_characters_and_line_breaks_go() -> None:
    assert one_line("a\n\tb\x1b[31mc\x07\udcff") == "a b[31mc"
    assert printable("a\n\tb\x1b\u202e") == "a\n\tb"
    assert len(one_line("word " * 1000)) == 300


def test_names_of_paths() -> None:
    assert is_plain_name("mask_ratio-tiny-fe7064")
    assert is_plain_name("mask.video=0.5,0.75 é")
    for name in ("..", ".", "", "a/b", "a}b", "50%", "a\nb", "#", "x" * 201, "\udcff"):
        assert not is_plain_name(name), name


def test_any_text_has_a_file_name_of_its_own() -> None:
    names = [file_name(text) for text in ("/../../x", "_.._.._x", "a/b", "a\\b", "clip7", "x" * 999)]
    assert names[4] == "clip7"
    assert len(set(names)) == len(names)
    assert all(is_plain_name(name) for name in names)


def test_settings_of_a_command() -> None:
    command = "python sweeps/run.py x --set pretrain.lr=0.1 --set=machine.threads=2 --set='pretrain.length=10 steps'"
    assert changed_settings(command) == "pretrain.length=10 steps, pretrain.lr=0.1"
