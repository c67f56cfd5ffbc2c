"""The site is built without a warning, with the reference, and fetches nothing when it is read."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from simvtp.config.schema import OWN_FIELDS

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(find_spec, ("mkdocs", "material", "mkdocstrings"))), reason="needs the extra docs (`make docs`)"
)
def test_the_site_is_built(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(
        line, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    fields = re.findall(r"<td><code>([a-z_.0-9]+)</code></td>\n<td>", (tmp_path / "fields.html").read_text())
    assert [path for path in fields if path in OWN_FIELDS] == list(OWN_FIELDS)
    reference = (tmp_path / "api.html").read_text()
    for name in ("inference.retriever.SimVTP.encode_text", "config.plugins.registry.register_mask"):
        assert f'id="simvtp.{name}"' in reference
    for page in tmp_path.rglob("*.html"):
        assert not re.findall(r'<(?:script|img|iframe)[^>]*src="(?:https?:)?//', page.read_text()), page
        assert not re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(?:https?:)?//', page.read_text()), page
