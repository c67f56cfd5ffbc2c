"""Lines of the log on stderr: whole, plain, and once."""

import io
import re
import subprocess
import sys

import pytest
from rich.table import Table

from simvtp.runtime import worker_pool
from simvtp.runtime.log import PlainConsole

PROGRAM = """
import logging
from simvtp.runtime.log import only_warnings, show_log
log = logging.getLogger("simvtp.somewhere")
log.info("before it is shown")
show_log()
show_log()
log.info("long %s [bold]of[/bold] :smile: %s", "x" * 200, "https://a.b/c")
with only_warnings(active=True):
    log.info("of another process")
    log.warning("a warning")
with only_warnings(active=False):
    log.info("of process 0")
"""


def test_lines_are_printed_as_they_are() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"long {'x' * 200} [bold]of[/bold] :smile: https://a.b/c",
        "a warning",
        "of process 0",
    ]


HOSTILE = ("[bold]x[/bold]", "[/]", ":smile:", "\x1b[31mred\x1b]0;title\x07", "\udcff", "a\u202eb", "\x9b2J")
SHOWN = ("[bold]x[/bold]", "[/]", ":smile:", r"\x1b[31mred\x1b]0;title\x07", r"\udcff", r"a\u202eb", r"\x9b2J")


@pytest.mark.parametrize(("text", "shown"), list(zip(HOSTILE, SHOWN, strict=True)))
def test_text_from_outside_controls_no_terminal(text: str, shown: str) -> None:
    file = io.StringIO()
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    console = PlainConsole(file=file, force_terminal=True, width=60)
    console.print(text)
    console.print(table)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())  # rich's own styles
    assert plain.count(shown) == 5
    assert not any(letter in plain for letter in "\x1b\x07\x9b\udcff\u202e")


def test_a_bar_takes_no_title_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with worker_pool.Bar("csv:[/].csv\x1b]0;t\x07", 2) as advance:
        advance(2)
    assert r"csv:[/].csv\x1b]0;t\x07" in terminal.getvalue()
    assert "\x1b]0;t" not in terminal.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
