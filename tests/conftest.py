"""One very small corpus and one quick config for every test that trains."""

import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from simvtp.config.plugins import loading, registry
from tests.small_config import QUICK


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _log_is_kept() -> None:
    """`caplog` sees what a command would print."""
    logging.getLogger("simvtp").setLevel(logging.INFO)


@pytest.fixture(scope="session", autouse=True)
def _hears_ctrl_c() -> None:
    """What a script starts in the background is born deaf to SIGINT, and so are its children; tests send it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def corpus_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """$SIMVTP_CACHE of the whole session, so that the corpus is rendered once."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIMVTP_CACHE", str(folder))
        yield folder


@pytest.fixture
def quick(corpus_cache: Path) -> dict[str, str]:  # noqa: ARG001
    """Changes to preset tiny that make a run of a few seconds."""
    return dict(QUICK)


@pytest.fixture
def plugins_apart() -> Iterator[None]:
    """No plugin is loaded when a test begins, and what it loads is forgotten after it."""
    known = (registry.EXTENSIONS, registry.FIELDS, loading._loaded)
    before, modules = [dict(names) for names in known], set(sys.modules)
    for names in known:
        names.clear()
    yield
    for names, kept in zip(known, before, strict=True):
        names.clear()
        names.update(kept)  # type: ignore[arg-type]
    for name in set(sys.modules) - modules:
        if not name.startswith(("simvtp", "sweeps", "analysis", "torch", "numpy")):
            del sys.modules[name]
