"""`--jobs N` on this machine: each run at once has cores and a GPU of its own, for as long as it lives."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.sweeps.test_command import ROOT, command


def at_work(results: Path) -> dict[str, tuple[frozenset[int], str]]:
    """Run -> (cores, GPUs) of the process that holds its folder."""
    collected = {}
    for path in results.glob("runs/*/lock"):
        try:
            pid = json.loads(path.read_text())["pid"]
            words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
            gpus = dict(word.partition("=")[::2] for word in words).get("CUDA_VISIBLE_DEVICES", "none")
            collected[path.parent.name] = (frozenset(os.sched_getaffinity(pid)), gpus)
        except (OSError, ValueError):
            continue  # it has just ended
    return collected


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two runs at once on cores of their own take two cores")
def test_two_runs_at_once_share_neither_cores_nor_gpu(corpus_cache: Path, tmp_path: Path) -> None:
    del corpus_cache
    changes = {"finetune.length": "40 epochs"}
    line = command(tmp_path, "finetune_lr", "--cluster", "local", "--jobs", "2", changes=changes)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "3,5"}
    process = subprocess.Popen(line, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    together = 0
    try:
        while process.poll() is None and together < 20:
            places = list(at_work(tmp_path).values())
            if len(places) == 2:
                together += 1
                (cores, gpu), (other_cores, other_gpu) = places
                assert cores, "a run with no core"
                assert not cores & other_cores
                assert {gpu, other_gpu} == {"3", "5"}
            assert len(places) <= 2
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait()
    assert process.returncode in (0, 130)  # done before it was stopped, or stopped resumably
    assert together
