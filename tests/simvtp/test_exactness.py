"""The same weights in our model and in transformers' VideoMAE and BERT: the same outputs, losses and gradients."""

import importlib
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from simvtp.config import Config, override
from simvtp.embedding import IMAGENET_MEAN, IMAGENET_STD, gather, tubes_of
from simvtp.foreign import translate
from simvtp.layers import Group
from simvtp.masking import VideoMask, draw_video_mask
from simvtp.model import SimVTP
from simvtp.objectives import masked_video_loss, pixel_targets
from simvtp.presets import preset

transformers = importlib.import_module("transformers")  # after ours, which mends torchvision for it
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def ours(**changes: object) -> Config:
    small = {
        "model.frames": 4, "model.size": 24, "model.patch": 8, "model.width": 32, "model.depth": 3, "model.heads": 4,
        "model.decoder_width": 24, "model.decoder_depth": 2, "model.decoder_heads": 3,
    }  # fmt: skip
    return override(preset("tiny"), {**small, **{key.replace("__", "."): value for key, value in changes.items()}})


def theirs(config: Config, norm_pix_loss: bool = True) -> Any:
    model = config.model
    return transformers.VideoMAEConfig(
        image_size=model.size, patch_size=model.patch, num_frames=model.frames, tubelet_size=model.tube_frames,
        hidden_size=model.width, num_hidden_layers=model.depth, num_attention_heads=model.heads,
        intermediate_size=4 * model.width, decoder_hidden_size=model.decoder_width,
        decoder_num_hidden_layers=model.decoder_depth, decoder_num_attention_heads=model.decoder_heads,
        decoder_intermediate_size=4 * model.decoder_width, use_mean_pooling=False, layer_norm_eps=1e-6,
        norm_pix_loss=norm_pix_loss, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip


def shaken(model: Any) -> Any:
    """Every weight drawn anew, biases, norms and the mask token too, so that none is zero or one by chance."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random) * 0.1)
    return model


def loaded(config: Config, state: dict[str, Tensor], layout: str) -> SimVTP:
    model = SimVTP(config, 40)
    found, left = translate(dict(state), layout)
    assert not left
    missing, unexpected = model.load_state_dict(found, strict=False)
    assert not unexpected
    assert {name.split(".")[0] for name in missing} <= {"words", "word_head", "matching_head", "pixel_decoder"}
    return model


def clips(config: Config) -> Tensor:
    size = config.model.size
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (3, config.model.frames, size, size, 3), generator=random, dtype=torch.uint8)


def pixel_values(video: Tensor) -> Tensor:
    """As transformers takes them: normalised, [B, T, C, H, W]."""
    normal = (video / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    return normal.permute(0, 1, 4, 2, 3)


def hidden(config: Config, mask: VideoMask) -> Tensor:
    chosen = torch.zeros(len(mask.masked), config.model.tubes, dtype=torch.bool)
    return chosen.scatter(1, mask.masked, True)


@pytest.mark.parametrize(("ratio", "kind"), [(0.5, "tube"), (0.75, "tube"), (0.9, "tube"), (0.75, "random")])
def test_pretraining_with_normalised_pixels(ratio: float, kind: str) -> None:
    config = ours(mask__video=ratio, mask__kind=kind)
    reference = shaken(transformers.VideoMAEForPreTraining(theirs(config)))
    reference.decoder.norm.eps = 1e-6  # VideoMAE's own; transformers has torch's 1e-5 there
    model = loaded(config, reference.state_dict(), "VideoMAE of transformers")
    video, mask = clips(config), draw_video_mask(3, config.model, config.mask, torch.Generator().manual_seed(2))
    assert model.pixel_decoder is not None

    tubes = tubes_of(video, config.model)
    (encoded,) = model.encode([Group(model.tubes(tubes, mask.visible))])
    predicted = model.pixel_decoder(encoded.tokens, mask.visible, mask.masked)
    loss = masked_video_loss(predicted, pixel_targets(gather(tubes, mask.masked)))
    loss.backward()

    wanted = reference(pixel_values(video), bool_masked_pos=hidden(config, mask))
    wanted.loss.backward()
    ordered = predicted.unflatten(2, (3, -1)).transpose(2, 3).flatten(2)  # by frame, row, column, channel
    assert torch.allclose(ordered, wanted.logits, **CLOSE)
    assert torch.allclose(loss, wanted.loss, **CLOSE)
    gradients = {name: parameter.grad for name, parameter in reference.named_parameters()}
    found, _ = translate({name: value for name, value in gradients.items() if value is not None},
                         "VideoMAE of transformers")  # fmt: skip
    own = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert own.keys() == found.keys()
    for name, gradient in own.items():
        assert torch.allclose(gradient, found[name], **CLOSE), name


def test_pretraining_with_raw_pixels() -> None:
    config = ours(mask__video=0.75)
    reference = shaken(transformers.VideoMAEForPreTraining(theirs(config, norm_pix_loss=False)))
    reference.decoder.norm.eps = 1e-6
    model = loaded(config, reference.state_dict(), "VideoMAE of transformers")
    video, mask = clips(config), draw_video_mask(3, config.model, config.mask, torch.Generator().manual_seed(2))
    assert model.pixel_decoder is not None
    tubes = tubes_of(video, config.model)
    (encoded,) = model.encode([Group(model.tubes(tubes, mask.visible))])
    predicted = model.pixel_decoder(encoded.tokens, mask.visible, mask.masked)
    loss = functional.mse_loss(predicted, gather(tubes, mask.masked) / 255)
    assert torch.allclose(loss, reference(pixel_values(video), bool_masked_pos=hidden(config, mask)).loss, **CLOSE)


def test_the_encoder_alone() -> None:
    config = ours()
    reference = shaken(transformers.VideoMAEModel(theirs(config)))
    model = loaded(config, reference.state_dict(), "VideoMAEModel of transformers")
    video = clips(config)
    (encoded,) = model.encode([Group(model.tubes(tubes_of(video, config.model)))])
    assert torch.allclose(encoded.tokens, reference(pixel_values(video)).last_hidden_state, **CLOSE)


def test_word_embeddings() -> None:
    config = ours()
    bert = transformers.BertConfig(
        vocab_size=40, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=64
    )
    reference = shaken(transformers.BertModel(bert, add_pooling_layer=False)).eval()
    model = SimVTP(config, 40)
    found, left = translate(dict(reference.state_dict()), "BERT embeddings without a head")
    assert all(name.startswith("encoder.") for name in left)
    missing, unexpected = model.load_state_dict(found, strict=False)
    assert not unexpected
    assert not [name for name in missing if name.startswith("words.")]
    words = torch.randint(0, 40, (3, 9), generator=torch.Generator().manual_seed(3))
    embedded, wanted = model.words(words), reference.embeddings(words)
    assert torch.allclose(embedded, wanted, **CLOSE)
    weight = torch.randn(embedded.shape, generator=torch.Generator().manual_seed(4))
    (embedded * weight).sum().backward()
    (wanted * weight).sum().backward()
    gradient = reference.embeddings.word_embeddings.weight.grad
    assert model.words.word.weight.grad is not None
    # transformers gives the padding word no gradient; here [PAD] is masked in attention, and gets none there
    assert torch.allclose(model.words.word.weight.grad[1:], gradient[1:], **CLOSE)
    assert torch.allclose(model.words.norm.weight.grad, reference.embeddings.LayerNorm.weight.grad, **CLOSE)
