"""Folders that a group shares, and messages for refusals of the file system."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from pathlib import Path

from simvtp.errors import ConfigError

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
NO_FOLDER = (errno.EEXIST, errno.ENOTDIR)
EXPLAINED = (*FULL, *REFUSED, *NO_FOLDER, errno.ENAMETOOLONG)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, with the modes that the umask leaves.

    Below a folder with the setgid bit that its group may write to (`chmod 2775`), new folders are writable for the
    group too, unless the umask keeps the group out altogether (077). Raises ConfigError if it may not be made.
    """
    try:
        if folder.is_dir():
            return
        if folder.parent != folder:
            make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise explained(error, folder) from error
    above, mode = folder.parent.stat().st_mode, folder.stat()
    is_shared = above & stat.S_ISGID and above & stat.S_IWGRP and mode.st_mode & 0o050 == 0o050
    if is_shared and mode.st_uid == os.geteuid():
        folder.chmod(stat.S_IMODE(mode.st_mode) | stat.S_IWGRP)


def explained(error: OSError, path: Path) -> OSError | ConfigError:
    """The error to raise for one that reading or writing `path` raised: with the path, and with what to do.

    ConfigError where the user may not do it; an OSError of the same number where the disk is full or failed.
    """
    if error.errno in FULL:
        return OSError(error.errno, "No space left on device, or over quota; make room and run the same command again",
                       str(path))  # fmt: skip
    if error.errno in NO_FOLDER:
        return ConfigError(f"{path}: there is a file where a folder is meant; name another folder")
    if error.errno not in REFUSED:
        return OSError(error.errno, error.strerror, str(path)) if error.errno else OSError(f"{path}: {error}")
    base = next(parent for parent in (path, *path.parents) if os.access(parent, os.F_OK))
    status = base.stat()
    return ConfigError(
        f"{path}: {error.strerror} for user {_name(os.geteuid())}; {base} belongs to {_name(status.st_uid)} with mode "
        f"{stat.S_IMODE(status.st_mode):04o}. Use a folder of your own, or one that the group shares: its owner "
        "runs `chmod -R g+rwX` and `chmod g+s` on it, and all use umask 002"
    )


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
