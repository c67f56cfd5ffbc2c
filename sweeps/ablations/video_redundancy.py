"""Whether the best video mask ratio falls with the redundancy of the video (embedded corpus alone)."""

from sweeps.definition import Sweep, choices, on_corpora

SWEEP = Sweep(
    title="Video mask ratio by the redundancy of the video",
    axes=("data.finetune", "mask.video"),
    # share: of a frame that shows what captions tell; the rest are still panels
    points=lambda base: on_corpora(("share=0.7", "share=0.4"), choices("mask.video", (0.50, 0.75)), base),
)
