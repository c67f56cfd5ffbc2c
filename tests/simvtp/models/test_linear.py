"""Linear maps and what stands before them against the same maps written with torch's own operations."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from simvtp.models import linear
from simvtp.runtime.seeding import generator

CHOICES = [("torch", False), ("torch", True), ("onednn", False), ("onednn", True)]
TENSORS = {"x": (5, 3, 8), "scale": (8,), "shift": (8,), "weight": (6, 8), "bias": (6,)}


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    linear.use("torch", recompute=False)


def tensors() -> dict[str, Tensor]:
    random = generator("products")
    return {name: torch.randn(shape, generator=random).requires_grad_() for name, shape in TENSORS.items()}


def norm_of(given: dict[str, Tensor]) -> nn.LayerNorm:
    norm = nn.LayerNorm(8, eps=1e-6)
    norm.weight, norm.bias = nn.Parameter(given["scale"]), nn.Parameter(given["shift"])
    return norm


def normed(given: dict[str, Tensor]) -> Tensor:
    return functional.layer_norm(given["x"], (8,), given["scale"], given["shift"], 1e-6)


Maps = dict[str, tuple[Callable[[dict[str, Tensor]], Tensor], Callable[[dict[str, Tensor]], Tensor]]]
MAPS: Maps = {
    "linear": (
        lambda t: linear.linear(t["x"], t["weight"], t["bias"]),
        lambda t: functional.linear(t["x"], t["weight"], t["bias"]),
    ),
    "no bias": (lambda t: linear.linear(t["x"], t["weight"]), lambda t: functional.linear(t["x"], t["weight"])),
    "gelu": (
        lambda t: linear.gelu_linear(t["x"], t["weight"], t["bias"]),
        lambda t: functional.linear(functional.gelu(t["x"]), t["weight"], t["bias"]),
    ),
    "norm": (
        lambda t: linear._NormLinear.apply(t["x"], t["scale"], t["shift"], 1e-6, t["weight"], t["bias"]),
        lambda t: functional.linear(normed(t), t["weight"], t["bias"]),
    ),
}


def gradients(make: Callable[[dict[str, Tensor]], Tensor]) -> dict[str, Tensor]:
    """The result and the gradients of everything that took part."""
    given = tensors()
    found = make(given)
    (found.float() * torch.randn(found.shape, generator=generator("direction"))).sum().backward()  # type: ignore[no-untyped-call]
    kept = {name: tensor.grad for name, tensor in given.items() if tensor.grad is not None}
    return {"result": found.detach(), **kept}


@pytest.mark.parametrize("name", list(MAPS))
@pytest.mark.parametrize(("product", "recompute"), CHOICES)
@pytest.mark.parametrize("short", [False, True])
def test_results_and_gradients_are_torchs(name: str, product: str, recompute: bool, short: bool) -> None:
    ours, theirs = MAPS[name]
    with torch.autocast("cpu", torch.bfloat16, enabled=short):
        wanted = gradients(theirs)
    linear.use(product, recompute=recompute)
    with torch.autocast("cpu", torch.bfloat16, enabled=short):
        found = gradients(ours)
    assert found.keys() == wanted.keys()
    assert len(wanted) >= 3
    for key, tensor in wanted.items():
        assert found[key].dtype == tensor.dtype, key
        if product == "torch":
            assert torch.equal(found[key], tensor), key
        assert torch.allclose(found[key], tensor, rtol=1e-5, atol=1e-5), key


def test_what_is_computed_again_is_not_kept() -> None:
    def kept(recompute: bool) -> int:
        given, sizes = tensors(), list[int]()
        linear.use("torch", recompute=recompute)

        def note(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            linear.gelu_linear(given["x"], given["weight"], given["bias"])
            linear.norm_linear(given["x"], norm_of(given), given["weight"], given["bias"])
        return sum(sizes)

    assert kept(recompute=False) - kept(recompute=True) == 2 * 5 * 3 * 8


def test_clips_have_no_gradient() -> None:
    given = tensors()
    linear.linear(given["x"].detach(), given["weight"], given["bias"]).sum().backward()  # type: ignore[no-untyped-call]
    assert given["x"].grad is None
    assert given["weight"].grad is not None


@pytest.mark.parametrize(
    ("described", "chosen"),
    [
        ("processor : 0\nvendor_id : AuthenticAMD\n", "onednn"),
        ("processor : 0\nvendor_id : GenuineIntel\n", "torch"),
        (None, "torch"),
    ],
)
def test_auto_follows_the_processor(
    described: str | None, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if described is not None:
        (tmp_path / "cpuinfo").write_text(described)
    monkeypatch.setattr(linear, "PROCESSOR", tmp_path / "cpuinfo")
    linear.use("auto", recompute=False)
    assert linear._choice.product is linear.PRODUCTS[chosen]


@pytest.mark.parametrize(
    ("described", "found"),
    [
        ("model name\t: Xeon\nflags\t\t: fpu avx512f avx512_vnni\nbugs\t\t: avx512_bf16\n", False),
        ("flags\t\t: fpu avx512f avx512_bf16 la57\n", True),
        ("flags\t\t: fpu amx_tile amx_bf16\n", True),
        ("Features\t: fp asimd bf16\n", True),
    ],
)
def test_bf16_is_known_by_the_processors_instructions(tmp_path: Path, described: str, found: bool) -> None:
    (tmp_path / "cpuinfo").write_text(described)
    assert linear.multiplies_bf16(tmp_path / "cpuinfo") is found
    assert linear.multiplies_bf16(tmp_path / "absent")
