"""Learning curves: what part of the curves a panel shows."""

import matplotlib.pyplot as plt
import pytest

from analysis.figures import learning_curves


def test_first_steps_leave_the_panel_and_the_end_of_a_short_curve_does_not() -> None:
    figure, axes = plt.subplots()
    long = [float(step) for step in range(0, 101, 10)]
    learning_curves._limit(axes, [(long, [0.0, *range(70, 80)]), ([3.0], [29.0]), ([], [])])
    plt.close(figure)
    assert axes.get_ylim() == pytest.approx((26, 82))  # 29 to 79, and 6% of them on either side
