"""Resources of SLURM jobs: `--cluster NAME` reads clusters/NAME.toml of the working folder or of the repository."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simvtp.errors import ConfigError, brief, nearest

FOLDER = Path(__file__).resolve().parents[2] / "clusters"


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The resources that a job of a run requests from SLURM. None: SLURM's default.

    name: in messages; of the file in clusters/.
    partition, account, qos, constraint, exclude: as sbatch takes them.
    time: limit of a job, minutes. A run that needs longer is requeued and continues from its checkpoint.
    gpus: of a node; None: one, or none for the preset tiny.
    cpus: of a process; None: the threads of the config.
    memory: of a node, such as "64G".
    nodes, tasks: nodes of a run, and processes on each; more than one in all: the run is data parallel.
    parallel: tasks of one array running at the same time.
    pack: runs side by side in one job, which share its GPUs.
    signal_seconds: this long before a limit a job writes its checkpoint and asks to be requeued.
    setup: shell lines before Python starts.
    sbatch: any other option of sbatch, by its long name.

    Raises ConfigError for values that no job can have.
    """

    name: str = "slurm"
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    time: int = 24 * 60
    gpus: int | None = None
    cpus: int | None = None
    memory: str | None = None
    nodes: int = 1
    tasks: int = 1
    parallel: int = 64
    pack: int = 1
    signal_seconds: int = 90
    setup: tuple[str, ...] = ()
    sbatch: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in ("nodes", "tasks", "parallel", "pack", "signal_seconds", "time"):
            if getattr(self, key) < 1:
                raise ConfigError(f"cluster {self.name}, {key}: {getattr(self, key)} is not possible; it is 1 or more")
        for key in ("gpus", "cpus"):
            value = getattr(self, key)
            if value is not None and value < (0 if key == "gpus" else 1):
                raise ConfigError(f"cluster {self.name}, {key}: {value} is not possible")
        if self.pack > 1 and self.nodes * self.tasks > 1:
            raise ConfigError(
                f"cluster {self.name}: pack {self.pack} puts several runs into one job, and nodes {self.nodes} with "
                f"tasks {self.tasks} several processes into one run; ask for one of the two"
            )


# Options of sbatch that are this program's: with others, jobs would do other tasks, or could not be found again.
TAKEN = ("array", "output", "error", "job-name", "dependency", "wrap", "test-only", "parsable", "input", "wait")
_KINDS = {"str | None": str, "str": str, "int | None": int, "int": int}


def names() -> list[str]:
    """Clusters that have a file in clusters/, of this folder or of the repository."""
    return sorted({path.stem for folder in folders() for path in folder.glob("*.toml")})


def folders() -> tuple[Path, ...]:
    """Where clusters have their files; the first that has one of a name counts."""
    return Path("clusters"), FOLDER


def read(name: str) -> Cluster:
    """The cluster of a name in clusters/, of this folder or of the repository, or of a path that ends in .toml.

    Raises ConfigError, naming file and key.
    """
    named = [folder / f"{name}.toml" for folder in folders()]
    try:
        path = Path(name) if name.endswith(".toml") else next(filter(Path.is_file, named), named[-1])
        values = tomllib.loads(path.read_text())
    except FileNotFoundError:
        known = ["auto", "local", "slurm", "debug", *names()]
        raise ConfigError(
            f"--cluster {name}: there is no {path}; it is one of {', '.join(known)}, or the path of a .toml file"
            f"{nearest(name, known)}"
        ) from None
    except (OSError, ValueError) as error:  # no TOML, no UTF-8, no name that a file can have
        raise ConfigError(f"--cluster {brief(name)}: its file cannot be read ({brief(error)})") from error
    fields = {f.name: str(f.type) for f in dataclasses.fields(Cluster) if f.name != "name"}
    for key in values:
        if key not in fields:
            raise ConfigError(f"{path}: unknown key {key!r}{nearest(key, fields)}; clusters/example.toml has them all")
    return Cluster(name=path.stem, **{key: _convert(path, key, value, fields[key]) for key, value in values.items()})


def _convert(path: Path, key: str, value: Any, kind: str) -> Any:
    if key == "time":
        return _minutes(path, value)
    if key == "setup":
        if not isinstance(value, list) or not all(isinstance(line, str) for line in value):
            raise ConfigError(f'{path}, setup: a list of shell lines is wanted, such as ["module load cuda"]')
        return tuple(value)
    if key == "sbatch":
        if not isinstance(value, dict) or any(isinstance(entry, dict | list) for entry in value.values()):
            raise ConfigError(f"{path}, [sbatch]: options with one value each are wanted, such as reservation = 'x'")
        for name, entry in value.items():
            if not re.fullmatch("[A-Za-z][A-Za-z0-9-]*", name) or name in TAKEN:
                why = "the sweep sets it itself" if name in TAKEN else "it is no long name of an option"
                raise ConfigError(f"{path}, [sbatch]: {name!r} is not possible; {why}")
            _refuse_breaks(path, name, entry)
        return {name: entry if entry is True else str(entry) for name, entry in value.items()}
    wanted = _KINDS[kind]
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ConfigError(f"{path}, {key}: {value!r} is not {'a whole number' if wanted is int else 'text'}")
    _refuse_breaks(path, key, value)
    return value


def _refuse_breaks(path: Path, key: str, value: object) -> None:
    """Raise ConfigError for text with a line break, which would end the option in the batch script."""
    if set(str(value)) & set("\n\r\0"):
        raise ConfigError(f"{path}, {key}: {value!r} has a line break in it; write one line")


def _minutes(path: Path, value: Any) -> int:
    """ "days-hours:minutes:seconds" with days and seconds left out at will, or a number of minutes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?", value) if isinstance(value, str) else None
    if match is None:
        raise ConfigError(f'{path}, time: {value!r} is not a time; write minutes, "24:00:00" or "2-12:00:00"')
    days, hours, minutes = (int(part or 0) for part in match.groups()[:3])
    return (days * 24 + hours) * 60 + minutes
