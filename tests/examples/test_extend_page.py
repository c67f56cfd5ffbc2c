"""The objective that docs/extend.md shows trains as it stands there."""

import re
from pathlib import Path

import pytest

from simvtp.config.plugins.loading import load_plugin
from simvtp.models.objectives import losses
from tests.simvtp.models.small_batch import batch, config, model

PAGE = Path(__file__).parents[2] / "docs" / "extend.md"


@pytest.mark.usefixtures("plugins_apart")
def test_the_objective_of_the_page(tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "page.py").write_text(source)
    load_plugin(str(tmp_path / "page.py"))
    made = config(objective__length=1)
    trained = model(made)
    computed = losses(trained, batch(made), made)["length"]
    assert 0 < float(computed.detach()) < 10
    computed.backward()
    head = trained.added_head("length")
    assert head is not None
    assert all(part.grad is not None for part in head.parameters())
