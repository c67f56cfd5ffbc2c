"""SimVTP: `from simvtp import SimVTP`, and the frames of results, `from simvtp import analysis`.

Both are imported at first use, so that configs load without torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name == "SimVTP":
        from simvtp.inference.retriever import SimVTP

        return SimVTP
    if name == "analysis":
        from simvtp.__main__ import add_commands_to_path

        add_commands_to_path()
        return importlib.import_module("analysis")
    raise AttributeError(f"module 'simvtp' has no attribute {name!r}")
