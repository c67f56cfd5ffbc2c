"""What a machine without this project's packages is given."""

from __future__ import annotations

import importlib.metadata
import zipfile
from pathlib import Path

from benchmarks.gpu_parts.wheels import imported, needed, normal, roots, unpack


def test_the_list_is_what_training_and_sweeps_import() -> None:
    actual = roots()
    assert {"torch", "timm", "av", "optuna", "submitit", "safetensors", "orjson", "rich"} <= actual
    assert not {"pandas", "matplotlib", "pytest", "ruff"} & actual  # of the analysis, of the developers


def test_what_packages_need_comes_with_them_and_no_more() -> None:
    actual = needed(["optuna"], ["torch", "SQLAlchemy"])
    assert {"optuna", "alembic", "mako", "numpy"} <= actual.keys()
    assert not {"torch", "sqlalchemy", "pytest", "colorama"} & actual.keys()
    assert actual["optuna"] == importlib.metadata.version("optuna")


def test_names_and_imports(tmp_path: Path) -> None:
    assert normal("Huggingface_Hub") == "huggingface-hub"
    (tmp_path / "a.py").write_text("import os.path\nfrom PIL import Image\n\ndef f():\n    import av\n")
    assert imported([tmp_path]) == {"os", "PIL", "av"}


def test_wheels_are_unpacked_side_by_side(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with zipfile.ZipFile(tmp_path / f"{name}-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/__init__.py", "")
    assert len(unpack(tmp_path, tmp_path / "site")) == 2
    assert (tmp_path / "site" / "one" / "__init__.py").is_file()
    assert (tmp_path / "site" / "two" / "__init__.py").is_file()
