"""A sweep: masked feature prediction (examples/masked_features.py) in addition to MVM, instead of it, and neither.

    python sweeps/run.py examples/masked_features_study.py --plugin examples/masked_features.py --seeds 0,1,2
    python analysis/plot.py results/

The base, with MVM only, is added automatically.
"""

from sweeps.definition import Point, Sweep

SWEEP = Sweep(
    title="What is predicted of masked tubes",
    points=(
        Point("features beside pixels", {"objective.features": 1.0}),
        Point("features, no pixels", {"objective.features": 1.0, "objective.mvm": 0.0}),
        Point("neither", {"objective.mvm": 0.0}),
    ),
)
