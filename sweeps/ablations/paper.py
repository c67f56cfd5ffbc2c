"""The paper's ablations at once; a run that two of them share is trained once."""

from sweeps.definition import Sweep

SWEEP = Sweep(title="All ablations of the paper", parts=("mask_ratio", "data_fraction", "objectives"))
