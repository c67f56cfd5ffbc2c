"""An augmentation: some training clips lose their colours.

python -m simvtp.run --plugin examples/grey_augmentation.py --set pretrain.grey=0.2 --set finetune.grey=0.2
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simvtp.config.plugins import register_augmentation


@register_augmentation("grey")
def grey(clip: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:  # noqa: ARG001
    """share of training clips that are made grey"""
    light = clip @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    return np.repeat(light.round().astype(np.uint8)[..., None], 3, axis=3)
