"""Storage of a search's study: a journal in its folder, or a database by URL.

A URL with a password is accepted from $SIMVTP_STORAGE only: every user of a machine can read command lines. The
variable is removed from the environment before any job is started.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.study import StudyDirection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from simvtp.errors import ConfigError
from sweeps.study.journal_file import Direction, repair, write_journal

log = logging.getLogger(__name__)

VARIABLE = "SIMVTP_STORAGE"
EXTRAS = {"postgresql": "postgresql", "mysql": "mysql"}  # database -> the optional extra with its driver

# What Optuna raises on a journal that is damaged or of another program.
NONSENSE = (KeyError, TypeError, ValueError, AssertionError, IndexError, RecursionError)
# Exceptions that Optuna passes on when a database does not answer.
Unreachable = (StorageInternalError, SQLAlchemyError)


@dataclass(frozen=True)
class Database:
    """A database by URL. Its text omits the password, and the query, which may contain a password too."""

    url: URL = field(repr=False)

    def __str__(self) -> str:
        plain = URL.create(self.url.drivername, self.url.username, None, self.url.host, self.url.port,
                           self.url.database)  # fmt: skip
        return plain.render_as_string()

    def hidden(self, text: str) -> str:
        """A message of the driver, without the password."""
        values = [
            value for entry in self.url.query.values() for value in ([entry] if isinstance(entry, str) else entry)
        ]
        for word in filter(None, [self.url.password, *values]):
            text = text.replace(str(word), "***")
        return text

    def open(self) -> BaseStorage:
        """Connect, and make the tables if there are none; raises ConfigError that names the place."""
        try:
            return RDBStorage(self.url.render_as_string(hide_password=False), engine_kwargs={"pool_pre_ping": True})
        except ImportError:
            extra = EXTRAS.get(self.url.get_backend_name())
            hint = f"pip install 'simvtp[{extra}]'" if extra else "install it"
            raise ConfigError(f"--storage {self}: the driver of this database is not there; {hint}") from None
        except (*Unreachable, RuntimeError) as error:
            lines = self.hidden(str(error)).strip().splitlines() or [type(error).__name__]
            raise ConfigError(f"--storage {self}: cannot be opened ({lines[0]})") from None


def parse(text: str) -> Database:
    """Raises ConfigError, without the text, which may hold a password."""
    try:
        database = Database(make_url(text))
        database.url.get_dialect()
    except (ArgumentError, sqlalchemy.exc.NoSuchModuleError, ValueError):
        raise ConfigError(
            "--storage: that is no URL of a database; write postgresql://USER@HOST/NAME, "
            "mysql+pymysql://USER@HOST/NAME or sqlite:////FOLDER/NAME.db"
        ) from None
    return database


def chosen(option: str | None) -> Database | None:
    """The database of --storage or of the variable, which no child process sees any more; None: the journal.

    Raises ConfigError for an option with a password: everyone on this machine can read command lines.
    """
    text = os.environ.pop(VARIABLE, None)
    if option is None:
        return parse(text) if text else None
    place = option.partition("://")[2]
    if ":" in place.rpartition("@")[0] or "?" in place:  # by eye, since a password may hold any character
        raise ConfigError(
            "--storage: every user of this machine can read a password on a command line. Give the URL by the variable "
            f"{VARIABLE} instead, and change that password, since it may have been seen"
        )
    return parse(option)


@dataclass(frozen=True)
class Journal:
    """The journal of a study, which only the holder of the sweep's lock opens."""

    path: Path

    def open(self) -> BaseStorage:
        """Open the journal; a lock or a partial line that a kill left is removed first."""
        # The lock is of a controller that was killed; Optuna would wait 30 s for it.
        self.path.with_name(self.path.name + ".lock").unlink(missing_ok=True)
        repair(self.path)
        return _journal(self.path)

    def set_aside(self, why: str) -> None:
        aside = self.path.with_suffix(".journal.old")
        self.path.replace(aside)
        log.warning(f"{self.path}: not a journal of this search ({why}); it is now {aside.name}")


@dataclass(frozen=True)
class Copy:
    """A copy of a study in memory, to read while its controller writes."""

    of: Journal | Database
    name: str

    def open(self) -> BaseStorage:
        """Raises ConfigError if there is no such study."""
        memory = InMemoryStorage()
        if isinstance(self.of, Database):
            with suppress(KeyError):  # none of that name yet
                self._copy(optuna.load_study(study_name=self.name, storage=self.of.open()), memory)
        elif self.of.path.exists():
            content = self.of.path.read_bytes()
            with tempfile.TemporaryDirectory() as folder:
                whole = Path(folder) / "study.journal"
                whole.write_bytes(content[: content.rfind(b"\n") + 1])
                try:
                    self._copy(optuna.load_study(study_name=self.name, storage=_journal(whole)), memory)
                except NONSENSE as error:
                    raise ConfigError(f"{self.of.path} is not the journal of {self.name} ({error})") from error
        return memory

    def _copy(self, study: optuna.Study, memory: InMemoryStorage) -> None:
        made = optuna.create_study(study_name=self.name, storage=memory, directions=study.directions)
        made.add_trials(study.get_trials())


def _journal(path: Path) -> BaseStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path), lock_obj=JournalFileOpenLock(str(path))))


def copy_to_journal(study: optuna.Study, path: Path) -> None:
    """The study as a journal, for analysis, which reads no database; an older copy is replaced in one step."""
    names = study.metric_names or ["R@1"]
    objectives: dict[str, Direction] = {
        name: "maximize" if way == StudyDirection.MAXIMIZE else "minimize"
        for name, way in zip(names, study.directions, strict=True)
    }
    write_journal(path, study.study_name, study.get_trials(deepcopy=False), study.user_attrs, objectives)
