"""Plugins: modules of a user that add objectives, masks, corpora, evaluators and augmentations (docs/extend.md).

A plugin module registers what it adds with the decorators of this package. Commands load it with `--plugin`, or by an
entry point of the group `simvtp.plugins`. Nothing here imports torch.
"""

from simvtp.config.plugins.registry import (
    PretrainObjective,
    register_augmentation,
    register_corpus,
    register_evaluator,
    register_mask,
    register_objective,
)

__all__ = [
    "PretrainObjective",
    "register_augmentation",
    "register_corpus",
    "register_evaluator",
    "register_mask",
    "register_objective",
]
