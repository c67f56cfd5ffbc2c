"""SimVTP: `from simvtp import SimVTP`; the class is imported at first use, so that configs load without torch."""

from __future__ import annotations

from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name == "SimVTP":
        from simvtp.inference.retriever import SimVTP

        return SimVTP
    raise AttributeError(f"module 'simvtp' has no attribute {name!r}")
