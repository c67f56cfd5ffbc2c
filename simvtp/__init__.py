"""SimVTP: `from simvtp import SimVTP`; loaded when it is asked for, since configs are read without torch."""

from __future__ import annotations

from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name == "SimVTP":
        from simvtp.models.simvtp import SimVTP

        return SimVTP
    raise AttributeError(f"module 'simvtp' has no attribute {name!r}")
