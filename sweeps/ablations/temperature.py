"""How sharp the contrast is, and whether the model may choose that itself."""

from sweeps.definition import Point, Sweep, choices

LEARNED = Point("temperature learned", {"objective.learn_temperature": True})

SWEEP = Sweep(
    title="Temperature of the contrast, fixed or learned",
    axes=("objective.temperature", "objective.learn_temperature"),
    points=[*choices("objective.temperature", (0.02, 0.05, 0.1)), LEARNED],
)
