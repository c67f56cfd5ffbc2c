"""Whether the best text mask ratio falls with the redundancy of captions (embedded corpus alone)."""

from sweeps.definition import Sweep, choices, on_corpora

SWEEP = Sweep(
    title="Text mask ratio by the redundancy of captions",
    axes=("data.finetune", "mask.text"),
    # mentions: how often a caption names each attribute
    points=lambda base: on_corpora(("mentions=2", "mentions=1"), choices("mask.text", (0.15, 0.50)), base),
)
