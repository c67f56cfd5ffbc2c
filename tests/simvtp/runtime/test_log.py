"""Lines of the log on stderr: whole, plain, and once."""

import subprocess
import sys

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
