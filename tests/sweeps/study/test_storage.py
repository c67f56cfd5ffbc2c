"""The password of a database is seen by nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from sweeps.study.storage import VARIABLE, chosen, parse

ROOT = Path(__file__).parents[3]
URL = "postgresql://ada:gehe%40im@db.lab:5432/study?sslmode=require&password=auch"


def test_a_database_is_shown_without_password_and_query() -> None:
    database = parse(URL)
    assert str(database) == "postgresql://ada@db.lab:5432/study"
    assert "gehe" not in repr(database)
    assert database.url.password == "gehe@im"
    assert database.hidden("cannot log in with gehe@im or auch") == "cannot log in with *** or ***"


@pytest.mark.parametrize("text", ["ada:geheim", "nosuch://ada:geheim@h/d", "postgresql://ada:geheim@h:port/d"])
def test_what_is_no_url_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--storage: that is no URL of a database; write postgresql://") as caught:
        parse(text)
    assert "geheim" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_variable_is_gone_before_any_job_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, URL)
    database = chosen(None)
    assert database is not None
    assert database.url.password == "gehe@im"
    assert VARIABLE not in os.environ
    assert chosen(None) is None


@pytest.mark.parametrize(
    "url",
    [
        URL, "mysql+pymysql://u:p@h/d", "postgresql://u:pa#ss@h/d", "postgresql://u:p/w@h/d", "postgresql://u:p?w@h/d",
        "sqlite:////tmp/study.db?password=x", "postgresql://u:a@b@h/d",
    ],
)  # fmt: skip
def test_a_password_on_a_command_line_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match=VARIABLE) as caught:
        chosen(url)
    assert url not in str(caught.value)


def test_a_url_without_a_password_may_be_an_option() -> None:
    """The password comes from ~/.pgpass."""
    database = chosen("postgresql://ada@db.lab:5432/study")
    assert database is not None
    assert str(database) == "postgresql://ada@db.lab:5432/study"


def test_the_command_refuses_a_password(tmp_path: Path) -> None:
    line = [sys.executable, "sweeps/run.py", "search", "--storage", URL, "--status", "--results", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert VARIABLE in done.stderr
    assert "gehe" not in done.stdout + done.stderr
