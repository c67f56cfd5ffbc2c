"""What this project uses of timm and torchvision, once torchvision can be imported beside a torch without CUDA.

torchvision's public wheel links CUDA; beside a CPU build of torch its C++ operators do not load, and `import
torchvision` (hence timm, and parts of transformers) fails with "operator torchvision::nms does not exist". Only the
schemas of two operators are missed at import, and this project calls neither, so declaring them is enough. A
torchvision that imports is left alone.
"""

from __future__ import annotations

import sys

import torch

_kept_alive: list[torch.library.Library] = []


def repair() -> None:
    """Make `import torchvision` work, or raise what it raised for another reason."""
    try:
        import torchvision
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept_alive.append(library)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        import torchvision  # noqa: F401


repair()

import timm  # noqa: E402
from timm.models import register_model  # noqa: E402
from timm.optim import param_groups_layer_decay  # noqa: E402
from torchvision.transforms.v2 import InterpolationMode  # noqa: E402
from torchvision.transforms.v2 import functional as vision  # noqa: E402

__all__ = ["InterpolationMode", "param_groups_layer_decay", "register_model", "timm", "vision"]
