"""What the tests of analysis share."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest

from analysis.figures import style


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    """Matplotlib keeps the figures that a test drew and did not save, and its settings, which a style changes."""
    style.apply()
    yield
    plt.close("all")
