"""The reconstruction command on a real run."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.reconstruct import main
from simvtp.config.experiment import Experiment
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.run import run


def test_pictures_of_a_run(quick: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(Experiment(override(preset("tiny"), quick), "tiny", tmp_path)).parent
    assert main([folder.name, "--results", str(tmp_path), "--clips", "1", "--ratio", "0.5", "--ratio", "0.9"]) == 0
    (picture,) = (tmp_path / "figures").glob(f"reconstruct-{folder.name}-video*.png")
    assert str(picture) in capsys.readouterr().out
    with Image.open(picture.with_suffix(".gif")) as gif:
        assert gif.n_frames == 8
        assert gif.size == (3 * 48 * 3, 2 * 48 * 3)  # original and two ratios wide, masked above rebuilt
    with Image.open(picture) as drawn:
        assert np.asarray(drawn.convert("L")).std() > 10


def test_what_cannot_be_shown_is_said(
    quick: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nothing" / "here")]) == 2
    assert "config.json is not there" in capsys.readouterr().err
    folder = run(Experiment(override(preset("tiny"), {**quick, "pretrain.length": "0 steps"}), "tiny", tmp_path)).parent
    assert main([str(folder)]) == 2
    assert "has no pre-training" in capsys.readouterr().err
