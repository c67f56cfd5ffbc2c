"""A search: both mask ratios, which objectives, their weights, and the learning rates of both stages."""

from sweeps.search_definition import Search, log_factor, uniform

SEARCH = Search(
    title="Mask ratios, objectives, loss weights and learning rates",
    axes=(
        uniform("mask.video", 0.5, 0.95, 0.05),
        uniform("mask.text", 0.15, 0.9, 0.05),
        # 0 switches an objective off. MVM is the unit: Adam divides a common factor of all weights out again.
        uniform("objective.mlm", 0.0, 2.0, 0.5),
        uniform("objective.vtc", 0.0, 2.0, 0.5),
        uniform("objective.vtm", 0.0, 2.0, 0.5),
        log_factor("pretrain.lr", 0.1, 3.0),
        log_factor("finetune.lr", 0.1, 3.0),
    ),
)
