"""Files that a setting names, with a digest of their content: `bad.txt` -> `bad.txt#3f0c...`.

The command that makes a config adds the digest to what was typed. From then on the config says which content is meant,
also where the file is not, ids hang on the content alone, and a file that was changed since is refused.
"""

from __future__ import annotations

import re

from simvtp.errors import ConfigError

_PINNED = re.compile(r"(.+)#([0-9a-f]{16})", re.DOTALL)


def split(value: str) -> tuple[str, str]:
    """What a setting names, and the digest that it was given; "" where it was given none."""
    found = _PINNED.fullmatch(value)
    return (found[1], found[2]) if found else (value, "")


def pin(key: str, value: str, found: str) -> str:
    """The setting with the digest that was found; raises ConfigError where it was given another."""
    place, wanted = split(value)
    if wanted and found != wanted:
        raise ConfigError(
            f"{key}: what is in {place} is not what was asked for (digest {found}, not {wanted}); put the right file "
            "there, or leave out the part from # on to take this one"
        )
    return f"{place}#{found}"
