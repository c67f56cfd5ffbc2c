"""Which experiment trackers are asked for: `SIMVTP_SCALARS=tensorboard,trackio`. Loads without torch.

It is a variable of the environment and no config field: it changes no outcome, so no id.
"""

from __future__ import annotations

import importlib.util
import os
import shlex

from simvtp.errors import ConfigError, nearest

VARIABLE = "SIMVTP_SCALARS"
KINDS = ("tensorboard", "trackio", "mlflow", "wandb")


def wanted(text: str | None = None) -> tuple[str, ...]:
    """The trackers that `text`, by default the variable, names, in its order.

    Raises ConfigError for one that is unknown or not installed.
    """
    text = os.environ.get(VARIABLE, "") if text is None else text
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in KINDS:
            raise ConfigError(f"{VARIABLE}: {name!r} is not known; it takes {', '.join(KINDS)}{nearest(name, KINDS)}")
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"{VARIABLE}: {name} is not installed; pip install 'simvtp[{name}]'")
    return names


def export() -> str:
    """The shell line that gives a job the variable of this process."""
    return f"export {VARIABLE}={shlex.quote(os.environ.get(VARIABLE, ''))}"
