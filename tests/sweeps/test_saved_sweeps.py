"""Sweeps that are known from a results folder: by name, and by the command that started them."""

import argparse
import json
from pathlib import Path

import pytest

from simvtp.config.presets import preset
from simvtp.errors import ConfigError
from sweeps.run import find


def test_a_sweep_with_other_settings_is_told_apart_from_an_unknown_name(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "mine-tiny-0a1b2c"
    folder.mkdir(parents=True)
    command = "python sweeps/run.py --vary mask.video=0.5 --name mine --set pretrain.batch=16"
    (folder / "sweep.json").write_text(json.dumps({"name": "mine", "command": command}))
    arguments = argparse.Namespace(vary=[], sweep="mine", results=tmp_path, preset="tiny")
    with pytest.raises(ConfigError) as caught:
        find(arguments, preset("tiny"))
    assert str(caught.value) == (
        f"mine: {tmp_path}/sweeps/ has it with another --preset or --set; give those again, as in {command}"
    )
    arguments.sweep = "other"
    with pytest.raises(ConfigError, match="unknown sweep 'other'"):
        find(arguments, preset("tiny"))
