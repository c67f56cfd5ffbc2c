"""Evaluators of plugins must give finite numbers by name."""

from typing import Any

import numpy as np
import pytest

from simvtp.config.plugins import register_evaluator
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.errors import ConfigError
from simvtp.evaluation.evaluator import EncodedGallery, evaluated


@pytest.mark.usefixtures("plugins_apart")
@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"count": np.float32(2)}, ""),
        ({"count": float("nan")}, r"evaluate\.mine: count is nan; it must be a finite number"),
        ({"count": "2"}, r"evaluate\.mine: count is '2'"),
        ({}, r"evaluate\.mine: it gives \{\}"),
        (2.0, r"evaluate\.mine: it gives 2\.0"),
    ],
)
def test_what_an_evaluator_gives_is_checked(numbers: Any, message: str) -> None:
    register_evaluator("mine")(lambda gallery: numbers)  # noqa: ARG005
    features = np.eye(2)
    config = override(preset("tiny"), {"evaluate.mine": True})
    gallery = EncodedGallery(config, features, features, (0, 1), (), frozenset())
    if not message:
        assert evaluated(gallery) == {"mine": {"count": 2.0}}
        return
    with pytest.raises(ConfigError, match=message):
        evaluated(gallery)
