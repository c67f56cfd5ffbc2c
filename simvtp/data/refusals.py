"""What `prepare` could not read, so that it is not tried again: one line of JSON a video, added as soon as it is known.

A line holds for the file as it was: another size or time of change, and the video is tried again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from simvtp.data.errors import DataError


@dataclass
class Refusals:
    """known: video -> (size, time of change, why). The lock of the folder keeps other processes from the file."""

    file: Path
    known: dict[str, tuple[int, int, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path) -> Refusals:
        """What the file says, nothing where it is not there; raises DataError where it holds something else."""
        found = cls(file)
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        whole, _, half = text.rpartition("\n")
        try:
            for line in whole.splitlines():
                video, size, changed, why = json.loads(line)
                found.known[video] = int(size), int(changed), str(why)
        except (ValueError, TypeError) as error:
            raise DataError(f"{file} is no list of refused videos ({error}); delete it, and all are tried") from error
        if half:  # the end of a line that a kill cut off
            file.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
        return found

    def why(self, video: Path) -> str | None:
        """Why the video was refused as it is now; None: it was not."""
        size, changed, why = self.known.get(str(video), (-1, 0, ""))
        state = video.stat()
        return why if (state.st_size, state.st_mtime_ns) == (size, changed) else None

    def add(self, video: Path, why: str) -> None:
        if not video.exists():  # taken away meanwhile: missing from now on
            return
        state = video.stat()
        self.known[str(video)] = state.st_size, state.st_mtime_ns, why
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([str(video), *self.known[str(video)]]) + "\n")
