"""How fast to fine-tune: one pre-training serves every point."""

from sweeps.definition import Point, Sweep

FACTORS = (0.25, 0.5, 1.0, 2.0)

SWEEP = Sweep(
    title="Learning rate of fine-tuning, around the preset's",
    axes=("finetune.lr",),
    points=lambda base: [Point(f"rate x{factor:g}", {"finetune.lr": base.finetune.lr * factor}) for factor in FACTORS],
)
