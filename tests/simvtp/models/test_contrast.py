"""What the contrast sees, and how sharp it is."""

import math

import pytest
import torch

from simvtp.models.dual_encoder import DualEncoder, make_dual_encoder
from simvtp.models.embeddings import cut_tubes
from simvtp.models.objectives import contrastive_loss, losses
from simvtp.models.simvtp import Temperature
from simvtp.models.transformer import Group
from simvtp.training.optimizer import make_optimizer
from tests.simvtp.models import small_batch


@pytest.mark.parametrize("words", ["kept", "dropped"])
def test_a_clean_contrast_sees_every_tube_and_word(words: str) -> None:
    made = small_batch.config(objective__contrast="clean", mask__words=words)
    model, data = small_batch.model(made).eval(), small_batch.batch(made)
    videos = model.encode([Group(model.tubes(cut_tubes(data.video, made.model)))])[0].mean()
    clean = data.text_mask.words.clone()
    clean.view(-1)[data.text_mask.positions] = data.text_mask.targets
    texts = model.encode([Group(model.words(clean))])[0].mean()
    computed = losses(model, data, made)
    assert computed["vtc"].item() == pytest.approx(contrastive_loss(videos, texts, 0.05).item(), abs=1e-5)
    masked = losses(model, data, small_batch.config(mask__words=words))
    assert computed["vtc"].item() != pytest.approx(masked["vtc"].item(), abs=1e-3)
    for other in ("mvm", "mlm", "vtm"):
        assert computed[other].item() == pytest.approx(masked[other].item(), abs=1e-6)


def test_a_learned_temperature_starts_where_it_is_set_and_ends_at_a_hundredth() -> None:
    learned = Temperature(0.05)
    assert learned().item() == pytest.approx(0.05, rel=1e-6)
    with torch.no_grad():
        learned.log_inverse.fill_(math.log(1000.0))
    assert learned().item() == pytest.approx(0.01, rel=1e-6)


def test_the_learned_temperature_has_the_gradient_of_the_loss() -> None:
    videos, texts = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    learned = Temperature(0.5)
    contrastive_loss(videos, texts, learned()).backward()
    step = 1e-3  # d loss / d log(1/t) by differences
    high, low = (contrastive_loss(videos, texts, 0.5 * math.exp(-s)).item() for s in (step, -step))
    assert learned.log_inverse.grad is not None
    assert learned.log_inverse.grad.item() == pytest.approx((high - low) / (2 * step), rel=1e-2)


def test_it_is_a_parameter_only_where_it_is_learned_and_goes_on_in_fine_tuning() -> None:
    fixed, learned = small_batch.config(), small_batch.config(objective__learn_temperature=True)
    assert not [name for name, _ in small_batch.model(fixed).named_parameters() if "temperature" in name]
    model = small_batch.model(learned)
    with torch.no_grad():
        assert model.temperature is not None
        model.temperature.log_inverse.fill_(math.log(1 / 0.07))
    dual = make_dual_encoder(model, learned)
    assert dual.temperature is not None
    assert dual.temperature().item() == pytest.approx(0.07)
    assert dual.temperature is not model.temperature
    scales = {
        id(parameter): (group["lr_scale"], group["weight_decay"])
        for group in make_optimizer(dual, learned.finetune).param_groups
        for parameter in group["params"]
    }
    assert scales[id(dual.temperature.log_inverse)] == (1.0, 0.0)
    no_contrast = small_batch.config(objective__learn_temperature=True, objective__vtc=0)
    late = make_dual_encoder(small_batch.model(no_contrast), no_contrast)
    assert late.temperature is not None
    assert late.temperature().item() == pytest.approx(0.05)


def test_shared_towers_are_one_set_of_weights() -> None:
    separate, shared = small_batch.config(), small_batch.config(model__towers="shared")
    model = small_batch.model(separate)
    two, one = make_dual_encoder(model, separate).eval(), make_dual_encoder(model, shared).eval()
    assert isinstance(two, DualEncoder)
    data = small_batch.batch(separate)
    words = data.text_mask.words
    assert torch.equal(two.encode_video(data.video), one.encode_video(data.video))  # they start alike
    assert torch.equal(two.encode_text(words, data.present), one.encode_text(words, data.present))
    count = {name: sum(p.numel() for p in dual.parameters()) for name, dual in (("two", two), ("one", one))}
    tower = sum(p.numel() for p in model.encoder.parameters())
    assert count["two"] - count["one"] == tower
    assert {name.partition(".")[0] for name in one.state_dict()} == {"tubes", "words", "encoder", "norm"}
    before = one.encode_text(words, data.present)
    with torch.no_grad():
        one.video_encoder.blocks[0].fc1.weight.mul_(2.0)
    assert not torch.equal(one.encode_text(words, data.present), before)


def test_layer_decay_counts_the_layers_of_a_shared_tower() -> None:
    made = small_batch.config(model__towers="shared", finetune__layer_decay=0.5)
    one = make_dual_encoder(small_batch.model(made), made)
    names = {id(parameter): name for name, parameter in one.named_parameters()}
    collected = {
        names[id(parameter)]: group["lr_scale"]
        for group in make_optimizer(one, made.finetune).param_groups
        for parameter in group["params"]
    }
    assert (collected["tubes.proj.weight"], collected["encoder.blocks.0.fc1.weight"]) == (0.125, 0.25)
    assert (collected["encoder.blocks.1.fc1.weight"], collected["norm.weight"]) == (0.5, 1.0)
