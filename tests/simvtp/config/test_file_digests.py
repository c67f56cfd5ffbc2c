"""Files named by a setting: their digest makes the ids, and files of other content are refused."""

import hashlib
from pathlib import Path

import pytest
import torch

from simvtp.config.file_digests import pin, split
from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import override
from simvtp.data.resolve import resolved
from simvtp.errors import ConfigError
from simvtp.models.pretrained_weights import read_pretrained


def test_the_digest_stands_behind_the_name() -> None:
    assert split("a#b.pth#0123456789abcdef") == ("a#b.pth", "0123456789abcdef")
    assert split("a.pth#short") == ("a.pth#short", "")
    assert pin("model.init", "a.pth", "0123456789abcdef") == "a.pth#0123456789abcdef"
    with pytest.raises(ConfigError, match=r"model.init: what is in a.pth is not what was asked for"):
        pin("model.init", "a.pth#fedcba9876543210", "0123456789abcdef")


def test_a_resolved_config_needs_no_file_for_its_ids_and_refuses_others(tmp_path: Path) -> None:
    weights = tmp_path / "x.pth"
    torch.save({"encoder.patch_embed.proj.weight": torch.ones(3)}, weights)
    typed = override(preset("tiny"), {"model.init": str(weights)})
    fixed = resolved(typed)
    place, digest = fixed.model.init.split("#")
    assert place == str(weights)
    assert digest == hashlib.sha256(hashlib.sha256(weights.read_bytes()).hexdigest().encode()).hexdigest()[:16]
    assert resolved(fixed) == fixed
    ids = run_id(typed), pretrain_id(typed)
    moved = weights.rename(tmp_path / "moved.pth")
    assert (run_id(fixed), pretrain_id(fixed)) == ids
    assert resolved(override(fixed, {"model.init": f"{moved}#{digest}"})).model.init == f"{moved}#{digest}"
    moved.write_bytes(b"others")
    for refusing in (lambda: resolved(override(fixed, {"model.init": f"{moved}#{digest}"})),
                     lambda: read_pretrained(f"{moved}#{digest}", fixed.model)):  # fmt: skip
        with pytest.raises(ConfigError, match=rf"in .*moved.pth is not what was asked for \(digest .*, not {digest}"):
            refusing()
