"""Constants that several packages share."""

from __future__ import annotations

# Version of the embedded corpus (sprites:), part of every id that hangs on it: raised when the same spec gives other
# files.
SPRITES_VERSION = 3

# Pixels of ImageNet per channel, in [0, 1].
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
