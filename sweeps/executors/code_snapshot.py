"""The code that jobs run: a copy made when the command starts, so that later edits do not affect jobs."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from functools import cache
from pathlib import Path

from simvtp.__main__ import INSTALLED, PACKAGE
from simvtp.config.plugins.loading import COPIES, loaded
from simvtp.runtime.files import write_json
from simvtp.runtime.git_state import git_state

# Installed, they are not beside each other.
PACKAGES = {"simvtp": PACKAGE, "sweeps": Path(__file__).resolve().parents[1]}
SUFFIXES = (".py", ".toml", ".txt", ".json")


@cache
def snapshot_code(results: Path) -> Path:
    """The folder results/code/<hash of the code> with a copy of the packages and of the loaded plugins. An existing one
    is used again.

    All jobs of a command use the same copy, so that editing the code during a sweep does not mix two versions.

    code.json in it holds the git commit and the diff of tracked files against it, for environment.json.
    """
    contents = {
        f"{name}/{path.relative_to(folder)}": path.read_bytes()
        for name, folder in PACKAGES.items()
        for path in sorted(folder.rglob("*"))
        if path.suffix in SUFFIXES and path.is_file() and INSTALLED not in path.relative_to(folder).parts
    }
    for plugin in loaded():
        contents |= {f"{COPIES.name}/{plugin.digest}/{name}": text for name, text in plugin.sources.items()}
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    folder = (results / "code" / digest.hexdigest()[:12]).resolve()
    if folder.exists():
        return folder
    making = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    for name, content in contents.items():
        target = making / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    write_json(making / "code.json", git_state(PACKAGE.parent))
    try:
        making.rename(folder)  # whole or not at all
    except OSError:
        shutil.rmtree(making)  # another controller took the same one
        if not folder.exists():
            raise
    return folder
