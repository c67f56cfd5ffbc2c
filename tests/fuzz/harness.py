"""What fuzzers that run in one process share: a time limit, hostile text, and what a command may not do."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

HOSTILE: tuple[str, ...] = (
    "\x1b[31mred\x1b]0;title\x07", "[bold]markup[/bold]", "[/]", "$\\frac{1}{2}$", "\\input{/etc/passwd}", "%", "}{",
    "=HYPERLINK(\"x\")", "+1", "-1", "@SUM(A1)", "<script>alert(1)</script>", "a|b\nc", "\u2028", "\u202e", "漢字", "",
    "../../outside", "/etc/passwd", "x" * 5000, "\x00", "{{ 7 * 7 }}", "😀", "'; --", "nan", "1e400",
)  # fmt: skip


class Hang(BaseException):
    """A command took too long; no handler of `Exception` may take it for an error."""


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raises Hang in the block when the time is over."""

    def stop(_: int, __: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Counts:
    """What became of the cases.

    cases: how many; ends: how often each exit code, or other word, came; tracebacks, hangs: faults of each kind;
    faults: one text a traceback or hang.
    """

    cases: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    tracebacks: int = 0
    hangs: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = ", ".join(f"{name}: {number}" for name, number in sorted(self.ends.items()))
        return f"{self.cases} cases; {ends}; tracebacks {self.tracebacks}, hangs {self.hangs}"

    def report(self) -> int:
        """Print the first faults and the counts; the exit code of a command: 1 where there are faults."""
        for fault in self.faults[:20]:
            print(fault)
        print(self)
        return 1 if self.faults else 0

    def judge(self, name: str, case: Callable[[], str], seconds: int) -> None:
        """Run a case, or a part of one, which gives how it ended; what it raises is a fault, as is taking `seconds`."""
        try:
            with time_limit(seconds):
                self.ends[case()] += 1
        except Hang:
            self.hangs += 1
            self.faults.append(f"{name}: hangs")
        except (Exception, SystemExit):  # noqa: BLE001 - whatever is raised is what is looked for
            self.tracebacks += 1
            self.faults.append(f"{name}: {traceback.format_exc()}")


def call(command: Callable[[], object]) -> tuple[object, str]:
    """What a command gives, and what it wrote to stderr.

    Raises AssertionError if it prints an escape code, or writes the report of an error that is not known.
    """
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        code = command()
    for stream in (printed, errors):
        if "\x1b" in stream.getvalue():
            raise AssertionError(f"an escape code reached the terminal: {stream.getvalue()!r:.300}")
    if report := re.search(r"the report is (\S+)", errors.getvalue()):
        text = Path(report[1]).read_text(encoding="utf-8")
        Path(report[1]).unlink()
        raise AssertionError(text)
    return code, errors.getvalue()
