"""A small embedded corpus, made once for all tests of this folder, and the caches kept out of the user's home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from simvtp.data.pack import pack
from simvtp.data.sprites import dataset
from simvtp.data.sprites.scenes import Spec, parse_spec
from tests.small_config import WORDING

SMALL = f"tiny?clips=40&pretrain_validation=4&finetune=16&validation=8&test=8&test_seen=8&{WORDING}"
MIB = 0.05
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture(scope="package", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory):
    """$SIMVTP_CACHE for all tests of this folder."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("SIMVTP_CACHE")
    os.environ["SIMVTP_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["SIMVTP_CACHE"]
    else:
        os.environ["SIMVTP_CACHE"] = before


@pytest.fixture(scope="package")
def spec() -> Spec:
    return parse_spec(SMALL)


@pytest.fixture(scope="package")
def corpus_name() -> str:
    return f"sprites:{SMALL}"


@pytest.fixture(scope="package")
def folder(cache: Path, spec: Spec) -> Path:
    """The corpus, to be read only."""
    return dataset.ensure(spec, cache)


@pytest.fixture(scope="package")
def shards(corpus_name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus in shards of MIB, a handful of videos each; to be read only."""
    out = tmp_path_factory.mktemp("shards")
    assert pack(corpus_name, out, MIB) == {"pretrain": 40, "train": 16, "val": 8, "test": 8}
    return out


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent (real annotations and odd videos, not part of the repository)")
    return SHARED
