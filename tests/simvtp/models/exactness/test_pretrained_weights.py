"""Published layouts in, our weights out: against the literal assignments of `videomae_twins`."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import transformers
from torch import Tensor, nn

from simvtp.config.presets import preset
from simvtp.config.run_id import pretrain_id, run_id
from simvtp.config.schema import Config, override
from simvtp.errors import ConfigError
from simvtp.models.dual_encoder import DualEncoder
from simvtp.models.embeddings import sine_positions, tube_positions
from simvtp.models.pretrained_weights import load_pretrained, read_pretrained
from simvtp.models.simvtp import SimVTPModel
from simvtp.runtime.seeding import generator
from tests.simvtp.models.exactness.videomae_twins import SHAPES, WORDS, config, pairs, twins


@pytest.fixture(scope="module", params=list(SHAPES))
def made(request: pytest.FixtureRequest) -> Config:
    return config(request.param)


def loaded(init: Path | str, made: Config, model: nn.Module | None = None) -> tuple[Any, tuple[str, str, str]]:
    """A fresh model with the weights of `init`, and what was said."""
    fresh = model or SimVTPModel(made, WORDS)
    said = load_pretrained(read_pretrained(str(init), made.model), fresh, made)
    return fresh, said


def original(theirs: nn.Module) -> dict[str, Tensor]:
    """The names and shapes of VideoMAE's own checkpoints."""
    collected: dict[str, Tensor] = {}
    parts: dict[str, list[Tensor]] = {}
    for name, tensor in theirs.state_dict().items():
        name = name.replace("videomae.embeddings.patch_embeddings.projection", "encoder.patch_embed.proj")
        name = name.replace("videomae.encoder.layer", "encoder.blocks").replace("videomae.layernorm", "encoder.norm")
        name = name.replace("decoder_layers", "blocks").replace("layernorm_before", "norm1")
        name = name.replace("layernorm_after", "norm2").replace("intermediate.dense", "mlp.fc1")
        name = name.replace("attention.output.dense", "attn.proj").replace("output.dense", "mlp.fc2")
        name = name.replace("attention.attention.query.bias", "attn.q_bias")
        name = name.replace("attention.attention.value.bias", "attn.v_bias")
        if ".attention.attention." in name:  # query, key, value, in this order
            parts.setdefault(name.partition(".attention")[0] + ".attn.qkv.weight", []).append(tensor)
        else:
            collected[name] = tensor
    return collected | {name: torch.cat(three) for name, three in parts.items()}


def same_as_twin(model: SimVTPModel, theirs: nn.Module, made: Config) -> bool:
    return all(torch.equal(mine, other) for mine, other in pairs(model, theirs, made))


def test_a_transformers_folder(made: Config, tmp_path: Path) -> None:
    _, theirs = twins(made)
    theirs.save_pretrained(tmp_path)  # type: ignore[operator]
    model, said = loaded(tmp_path, made)
    assert same_as_twin(model, theirs, made)
    assert said[1] == "model.init left 0 that have no place here"
    assert said[2] == "model.init missing 9, which start from the seed: words 5, word_head 2, matching_head 2"
    older = {  # as it is in files of before transformers 5
        name.replace("query.bias", "q_bias").replace("value.bias", "v_bias"): tensor.clone()
        for name, tensor in theirs.state_dict().items()
    }
    safetensors.torch.save_file(older, tmp_path / "older.safetensors")
    assert same_as_twin(loaded(tmp_path / "older.safetensors", made)[0], theirs, made)


def test_the_original_layout(made: Config, tmp_path: Path) -> None:
    _, theirs = twins(made)
    content = {"model": original(theirs), "epoch": 1599, "args": argparse.Namespace(lr=1e-4, output_dir="x")}
    torch.save(content, tmp_path / "checkpoint.pth")
    assert same_as_twin(loaded(tmp_path / "checkpoint.pth", made)[0], theirs, made)
    wrapped = {f"module.{name}": tensor for name, tensor in original(theirs).items()}
    torch.save({"state_dict": wrapped}, tmp_path / "wrapped.pth")
    assert same_as_twin(loaded(tmp_path / "wrapped.pth", made)[0], theirs, made)


def bert(made: Config) -> nn.Module:
    width = made.model.width
    plain = transformers.BertConfig(vocab_size=WORDS, hidden_size=width, num_hidden_layers=1, num_attention_heads=1,
                       intermediate_size=width)  # fmt: skip
    model: nn.Module = transformers.BertForMaskedLM(plain)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator("bert", parameter.numel()))
    return model


def is_bert(model: Any, theirs: nn.Module) -> bool:
    names = {"word.weight": "word_embeddings.weight", "position.weight": "position_embeddings.weight",
             "kind.weight": "token_type_embeddings.weight", "norm.weight": "LayerNorm.weight",
             "norm.bias": "LayerNorm.bias"}  # fmt: skip
    state = theirs.state_dict()
    return all(
        torch.equal(model.words.get_parameter(ours), state[f"bert.embeddings.{other}"]) for ours, other in names.items()
    )


def test_videomae_and_bert_joined_give_the_recipes_start(made: Config, tmp_path: Path) -> None:
    _, video = twins(made)
    torch.save({"model": original(video)}, tmp_path / "videomae.pth")
    text = bert(made)
    text.save_pretrained(tmp_path / "bert")  # type: ignore[operator]
    model, said = loaded(f"{tmp_path}/videomae.pth+{tmp_path}/bert", made)
    assert same_as_twin(model, video, made)
    assert is_bert(model, text)
    assert said[0].startswith(f"model.init loaded {len(model.state_dict()) - 4} of {len(model.state_dict())} tensors: ")
    assert said[1].startswith("model.init left ")
    assert "bert.encoder.layer.0" in said[1]
    assert said[2] == "model.init missing 4, which start from the seed: word_head 2, matching_head 2"


def test_bert_files_that_came_from_tensorflow(made: Config, tmp_path: Path) -> None:
    text = bert(made)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor.clone()
        for name, tensor in text.state_dict().items()
    }
    torch.save(old, tmp_path / "pytorch_model.bin")
    assert is_bert(loaded(tmp_path, made)[0], text)


def released(made: Config) -> tuple[dict[str, Tensor], nn.Module, nn.Module]:
    _, video = twins(made)
    text = bert(made)
    actual = original(video)
    for name, tensor in text.state_dict().items():
        if name.startswith("bert.embeddings."):
            actual[name.replace("bert.embeddings", "text_embeddings")] = tensor
    width = made.model.width
    shapes = {"text_cls.weight": (WORDS, width), "text_cls.bias": (WORDS,), "vtm_head.weight": (2, width),
              "vtm_head.bias": (2,)}  # fmt: skip
    return actual | {name: torch.randn(shape) for name, shape in shapes.items()}, video, text


def test_a_released_simvtp_checkpoint_fills_everything(made: Config, tmp_path: Path) -> None:
    checkpoint, video, text = released(made)
    torch.save({"model": checkpoint}, tmp_path / "simvtp.pth")
    model, said = loaded(tmp_path / "simvtp.pth", made)
    assert same_as_twin(model, video, made)
    assert is_bert(model, text)
    assert torch.equal(model.word_head.weight, checkpoint["text_cls.weight"])
    assert torch.equal(model.matching_head.bias, checkpoint["vtm_head.bias"])
    assert said[2] == "model.init missing 0, which start from the seed: none"


def test_the_fine_tuned_dual_form(made: Config, tmp_path: Path) -> None:
    checkpoint, _, text = released(made)
    dual: dict[str, Tensor] = {}
    for tower, factor in (("video_encoder", 1.0), ("text_encoder", 2.0)):
        for name, tensor in checkpoint.items():
            if name.startswith("encoder.") and not name.startswith("encoder.norm"):
                dual[name.replace("encoder", tower, 1)] = tensor * factor
            if name.startswith("text_embeddings."):
                dual[f"{tower}.{name}"] = tensor * (1.0 if tower == "text_encoder" else 3.0)  # the video's is not used
        for part in ("weight", "bias"):
            dual[f"{tower}.fc_norm.{part}"] = checkpoint[f"encoder.norm.{part}"] * factor
    torch.save({"model": dual}, tmp_path / "dual.pth")
    pair, said = loaded(tmp_path / "dual.pth", made, DualEncoder(SimVTPModel(made, WORDS), made))
    assert is_bert(pair, text)
    assert torch.equal(pair.tubes.proj.weight, checkpoint["encoder.patch_embed.proj.weight"].flatten(1))
    for tower, factor in ((pair.video_encoder, 1.0), (pair.text_encoder, 2.0)):
        assert torch.equal(tower.blocks[0].attn.qkv.weight, checkpoint["encoder.blocks.0.attn.qkv.weight"] * factor)
    assert torch.equal(pair.text_norm.bias, checkpoint["encoder.norm.bias"] * 2.0)
    assert said[2].endswith("missing 0, which start from the seed: none")


SMALL = config("small")


def saved(tmp_path: Path, **changes: Any) -> Path:
    """An original checkpoint with some tensors changed; None removes one."""
    tensors = original(twins(SMALL)[1]) | {name.replace("__", "."): tensor for name, tensor in changes.items()}
    path = tmp_path / "x.pth"
    torch.save({"model": {name: tensor for name, tensor in tensors.items() if tensor is not None}}, path)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder__norm__weight": torch.ones(7)},
            r"x.pth: encoder.norm.weight is \[7\], .* takes \[32\]",
        ),
        ({"encoder__norm__weight": torch.full((32,), float("nan"))}, "encoder.norm.weight holds NaN"),
        ({"encoder__norm__weight": None}, "x.pth has no norm behind its last layer"),
        ({"encoder__blocks__0__norm1__bias": None}, "encoder.blocks.0.norm1.bias is not there"),
        ({"encoder__blocks__2__norm1__bias": torch.ones(32)}, "encoder.blocks.2.norm1.bias has no place"),
        ({"encoder__blocks__0__gamma_1": torch.ones(32)}, "encoder.blocks.0.gamma_1 has no place"),
        ({"encoder__pos_embed": torch.randn(1, 32, 32)}, "encoder.pos_embed holds learned positions"),
        ({"encoder__patch_embed__proj__weight": None}, "is in no layout that is known .*mask_token"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        loaded(saved(tmp_path, **changes), SMALL)


def test_saved_sine_positions_are_no_obstacle(tmp_path: Path) -> None:
    model, _ = loaded(saved(tmp_path, encoder__pos_embed=sine_positions(32, 32).unsqueeze(0)), SMALL)
    assert same_as_twin(model, twins(SMALL)[1], SMALL)


def test_other_attention_heads_are_refused_though_all_shapes_fit(tmp_path: Path) -> None:
    twins(SMALL)[1].save_pretrained(tmp_path)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=r"model.heads: 2, but .*config.json has 4"):
        loaded(tmp_path, override(SMALL, {"model.heads": 2}))


class Code:
    def __reduce__(self) -> Any:
        return os.mkdir, ("made_by_the_pickle",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": original(twins(SMALL)[1]), "extra": Code()}, tmp_path / "x.pth")
    with pytest.raises(ConfigError, match=r"x.pth is refused: .* could run any code"):
        loaded(tmp_path / "x.pth", SMALL)
    assert not (tmp_path / "made_by_the_pickle").exists()


@pytest.mark.parametrize("name", ["x.pth", "x.safetensors"])
def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(ConfigError, match=name):
        loaded(tmp_path / name, SMALL)


def test_other_grids_must_say_what_becomes_of_the_positions(tmp_path: Path) -> None:
    twins(SMALL)[1].save_pretrained(tmp_path)  # type: ignore[operator]
    longer = override(SMALL, {"model.frames": 8})
    with pytest.raises(ConfigError, match=r"grid of 2x4x4 tubes, .*has 4x4x4; model.positions=2x4x4 stretches"):
        loaded(tmp_path, longer)
    for positions in ("2x4x4", "4x4x4"):
        loaded(tmp_path, override(longer, {"model.positions": positions}))


def test_positions_are_stretched_over_another_grid() -> None:
    own = tube_positions(SMALL.model, 32)
    assert torch.equal(own, sine_positions(32, 32))
    assert torch.equal(tube_positions(override(SMALL, {"model.positions": "2x4x4"}).model, 32), own)
    stretched = tube_positions(override(SMALL, {"model.frames": 8, "model.positions": "2x4x4"}).model, 32)
    first, second = own[:16], own[16:]
    wanted = [first, 0.75 * first + 0.25 * second, 0.25 * first + 0.75 * second, second]
    assert torch.allclose(stretched, torch.cat(wanted), atol=1e-6)
    wider = tube_positions(override(SMALL, {"model.size": 64, "model.positions": "2x4x4"}).model, 32)
    assert torch.allclose(wider.view(2, 8, 8, 32)[1, 0, 0], own[16], atol=1e-6)  # a corner stays a corner
    with pytest.raises(ConfigError, match=r"model.positions"):
        override(SMALL, {"model.positions": "8x14"})


def test_ids_hang_on_what_is_in_the_file_and_not_on_its_name(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pth", tmp_path / "folder" / "b.pth"
    second.parent.mkdir()
    first.write_bytes(b"one")
    shutil.copy(first, second)

    def ids(init: object, **more: str) -> tuple[str, str | None]:
        config = override(preset("tiny"), {"model.init": str(init), **more})
        return run_id(config), pretrain_id(config)

    scratch = ids("")
    assert ids(first) == ids(second)
    assert all(mine != other for mine, other in zip(ids(first), scratch, strict=True))
    assert ids(f"{first}+{second}") != ids(first)
    before = ids(first)
    first.write_bytes(b"two, the same name")
    assert all(mine != other for mine, other in zip(ids(first), before, strict=True))
    without = {"pretrain.length": "0 steps"}
    assert ids(first, **without)[0] != ids("", **without)[0]
    with pytest.raises(ConfigError, match=r"nowhere.pth does not exist"):
        ids(tmp_path / "nowhere.pth")
    with pytest.raises(ConfigError, match=r"holds none of model.safetensors"):
        ids(tmp_path)
