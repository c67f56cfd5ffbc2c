"""Which passes of the encoder a step of pre-training computes, from the config. Loads without torch."""

from __future__ import annotations

from simvtp.config.plugins.usage import active
from simvtp.config.schema import Config


def passes_of(config: Config) -> frozenset[str]:
    """Names of the passes that the objectives that are on read.

    joint: visible tubes and words as one sequence. mismatched: the same of pairs that do not belong together. video,
    text: the masked inputs alone. clean_video, clean_text: all tubes, all words. Raises ConfigError if an objective
    is of a plugin that is not loaded.
    """
    objective, found = config.objective, set[str]()
    if objective.mvm or objective.mlm or objective.vtm:
        found.add("joint")
    if objective.vtm:
        found.add("mismatched")
    if objective.vtc:
        found |= {"video", "text"} if objective.contrast == "masked" else {"clean_video", "clean_text"}
    for _, added in active(config, "objective").values():
        found.update(added.passes)
    return frozenset(found)
