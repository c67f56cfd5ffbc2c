"""How much to mask: R@1 against the video and the text mask ratio, one curve each around the base point."""

from sweeps.definition import NO_PRETRAINING, Sweep, choices

VIDEO = (0.50, 0.75, 0.90, 0.95)
TEXT = (0.15, 0.50, 0.75, 0.90)

SWEEP = Sweep(
    title="Mask ratios of video and text (SimVTP's best: 90% and 75%)",
    axes=("mask.video", "mask.text"),
    # the curves are to be read against the level without pre-training
    points=[*choices("mask.video", VIDEO), *choices("mask.text", TEXT), NO_PRETRAINING],
)
