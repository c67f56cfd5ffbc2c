"""CONTRIBUTING.md names files that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_python_file_that_the_page_names_exists() -> None:
    """By its path from the root, or by the end of its path."""
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    known = {f"/{name}" for name in listed.split()}
    named = re.findall(r"[\w/]+\.py\b", (ROOT / "CONTRIBUTING.md").read_text())
    assert len(named) > 50
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in known)] == []
