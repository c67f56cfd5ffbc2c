# %% [markdown]
# # A figure and a paired test of your own
#
# A notebook in the percent format: VS Code and Spyder open it as cells, Jupyter with the package jupytext, and
# `python examples/own_figure.py` runs it as a script. It reads the results of `make demo` in `results/`; name another
# folder in the next cell, such as `results/reference`. The frames are described in docs/notebook.md.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import analysis

RESULTS = Path("results")
results = analysis.load(RESULTS)
results.points.groupby(["sweep", "point"])["state"].value_counts().unstack(fill_value=0)

# %% [markdown]
# ## A metric that is not built in: mean reciprocal rank
#
# `queries` has a row for each query of each run, so a metric of your own is one line.

# %%
queries = results.queries.query("direction == 'text_to_video'")
reciprocal = queries.assign(mrr=100 / queries["rank"]).groupby("run", observed=True)["mrr"].mean()
points = results.points.query("name == 'mask_ratio' and state == 'finished'")
points = points[points["sweep"] == points["sweep"].iloc[0]].join(reciprocal, on="run")
settings = results.runs.set_index("run")[["mask.video", "mask.text", "pretrain.length"]]
points = points.join(settings, on="run")
base = points[points["base"]].iloc[0]
points.groupby("point")["mrr"].agg(["mean", "std", "count"]).round(1)

# %% [markdown]
# ## A figure
#
# The points that differ from the base in the video mask ratio only; a circle for each seed.

# %%
same = (points["mask.text"] == base["mask.text"]) & (points["pretrain.length"] == base["pretrain.length"])
video = points[same].sort_values("mask.video")
means = video.groupby("mask.video")["mrr"].mean()
figure, panel = plt.subplots(figsize=(3.25, 2.3), layout="constrained")
panel.plot(100 * means.index, means, "-o", label="mean")
panel.plot(100 * video["mask.video"] + 0.6, video["mrr"], "o", markersize=3, markerfacecolor="none", label="seeds")
panel.set_xlabel("video tubes masked (%)")
panel.set_ylabel("mean reciprocal rank (%)")
panel.set_ylim(0, 1.1 * video["mrr"].max())
panel.legend(frameon=False)
(RESULTS / "figures").mkdir(exist_ok=True)
figure.savefig(RESULTS / "figures" / "own_figure.png", dpi=200)

# %% [markdown]
# ## A paired test
#
# Does the lowest video mask ratio rank the right video differently from the base? Both are tested on the same queries,
# so the test is paired: one value for each query, the mean over seeds of the difference of reciprocal ranks. Its sign
# is flipped at random under the hypothesis that the two points do not differ (a permutation test). The conclusion holds
# for other queries with these seeds; one about other seeds needs several, as `analysis/table.py` computes it.


# %%
def by_query(point: str) -> np.ndarray:
    """[seeds, queries]: reciprocal ranks in percent, seeds in rising order."""
    chosen = points[points["point"] == point].sort_values("seed")
    table = queries[queries["run"].isin(chosen["run"])].pivot_table(
        index="run", columns="query", values="rank", observed=True
    )
    return 100 / table.loc[chosen["run"]].to_numpy()


lowest = video.iloc[0]["point"]
seeds = [set(points[points["point"] == name]["seed"]) for name in (lowest, base["point"])]
assert seeds[0] == seeds[1], "pair the seeds that both have"
difference = (by_query(lowest) - by_query(base["point"])).mean(axis=0)
test = stats.permutation_test((difference,), np.mean, permutation_type="samples", n_resamples=9999, rng=0)
print(f"{lowest} minus {base['point']}: {difference.mean():+.2f} points of reciprocal rank over {difference.size} "
      f"queries and {len(seeds[0])} seeds, p = {test.pvalue:.4f}")  # fmt: skip
