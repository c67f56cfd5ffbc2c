"""The password of a database is seen by nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simvtp.errors import ConfigError
from sweeps.study.password import VARIABLE, secret_url, words_without
from sweeps.study.storage import chosen, parse

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
    ("word", "found"),
    [
        (URL, URL),
        (f"--storage={URL}", URL),
        ("mysql+pymysql://u:p@h/d", "mysql+pymysql://u:p@h/d"),
        ("postgresql://ada@db/study", None),  # nothing to hide: the password comes from ~/.pgpass
        ("data.pretrain=sprites:tiny?clips=96", None),
        ("search", None),
    ],
)
def test_words_that_hold_a_password_are_known(word: str, found: str | None) -> None:
    assert secret_url(word) == found


def test_an_option_goes_with_its_value() -> None:
    for words in (["search", "--storage", URL, "--trials", "3"], ["search", f"--storage={URL}", "--trials", "3"]):
        assert words_without(words, URL) == ["search", "--trials", "3"]


def test_the_command_hides_the_password_and_still_uses_it(tmp_path: Path) -> None:
    """It is told of a database that is not there; what it says names the place, and its words hold no password."""
    url = f"sqlite:///{tmp_path}/none/study.db?password=geheim"
    line = [sys.executable, "sweeps/run.py", "search", "--storage", url, "--status", "--results", str(tmp_path)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"error: --storage sqlite:///{tmp_path}/none/study.db: " in done.stderr
    assert "geheim" not in done.stdout + done.stderr
