"""How sharp the contrast is, and whether the model may choose that itself."""

from sweeps.definition import Point, Sweep, choices, distinct

LEARNED = Point("temperature learned", {"objective.learn_temperature": True})

SWEEP = Sweep(
    title="Temperature of the contrast, fixed or learned",
    axes=("objective.temperature", "objective.learn_temperature"),
    points=lambda base: distinct([*choices("objective.temperature", (0.02, 0.05, 0.1)), LEARNED], base),
)
