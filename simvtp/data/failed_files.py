"""Videos that `prepare` could not re-encode: a file of JSON lines beside the copies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from simvtp.errors import DataError


@dataclass
class FailedFiles:
    """file: the list; known: video -> (size in bytes, time of change in ns, why).

    The lock of the folder keeps other processes from the file.
    """

    file: Path
    known: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> FailedFiles:
        """What the file says, nothing where it is not there; raises DataError where it holds something else."""
        found = cls(file)
        try:
            text = file.read_text(encoding="utf-8") if file.exists() else ""
            whole, _, half = text.rpartition("\n")
            for line in whole.split("\n") if whole else []:
                video, size, changed, why = json.loads(line)
                found.known[str(video)] = int(size), int(changed), str(why)
        except (ValueError, TypeError, OverflowError, RecursionError, OSError) as error:
            raise DataError(f"{file} is no list of failed videos ({error}); delete it, and all are tried") from error
        if half:  # the end of a line that a kill cut off
            file.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        return found

    def why(self, video: Path) -> str | None:
        """Why the video, as it is now, could not be re-encoded; None where it was not tried."""
        size, changed, why = self.known.get(str(video), (-1, 0, ""))
        state = video.stat()
        return why if (state.st_size, state.st_mtime_ns) == (size, changed) else None

    def add(self, video: Path, why: str) -> None:
        """Append a video to the file."""
        if not video.exists():  # taken away meanwhile: missing from now on
            return
        state = video.stat()
        self.known[str(video)] = state.st_size, state.st_mtime_ns, why
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([str(video), *self.known[str(video)]]) + "\n")
