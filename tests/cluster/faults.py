"""What goes wrong on clusters, done on purpose. Each fault gives False if there was nothing to hit."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from sweeps.state.failures import read_deaths
from tests.cluster.outages import drain_partition, restart_accounting, restart_munge, restart_slurmctld
from tests.cluster.scene import Scene
from tests.cluster.slurm_tasks import any_of, cancel, pending, shell, tasks_of

Fault = Callable[[Scene], bool]
SETUP_MARK = ".die-in-setup"  # a file in the results folder


def requeue(scene: Scene) -> bool:
    task = any_of(tasks_of(scene, "R"))
    if task is None:
        return False
    shell("scontrol", "requeue", task)
    return True


def requeue_in_a_checkpoint(scene: Scene) -> bool:
    """At the moment a checkpoint's temporary file is there; False if none comes within two seconds."""
    tasks, until = tasks_of(scene, "R"), time.monotonic() + 2
    while tasks and time.monotonic() < until:
        if list(scene.results.glob("*/*/checkpoints/.step-*")):
            shell("scontrol", "requeue", ",".join(tasks))
            return True
        time.sleep(0.001)
    return False


def _at_its_limit(scene: Scene, *, until_killed: bool) -> bool:
    """The limit of a job is suddenly one minute, and the job stands still, so that it cannot end before.

    SLURM looks at limits every half minute: SIGUSR2, as the submission asked, and a minute after the start the end.
    """
    victims = [(pid, task) for pid in _workers(scene) if (task := _task_of(pid)) is not None]
    if not victims:
        return False
    pid, task = random.choice(victims)
    try:
        os.kill(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return False
    shell("scontrol", "update", f"JobId={task}", "TimeLimit=1")
    until, signalled = time.monotonic() + 150, False
    while time.monotonic() < until:
        waiting = pending(pid)
        if waiting is None:  # SLURM killed it
            return True
        signalled = bool(waiting >> (signal.SIGUSR2 - 1) & 1)
        if signalled and not until_killed:
            break
        time.sleep(0.2)
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        return True
    return signalled and not until_killed


def timeout(scene: Scene) -> bool:
    """SIGUSR2 before the limit."""
    return _at_its_limit(scene, until_killed=False)


def overrun(scene: Scene) -> bool:
    """The job does not stop in time, and SLURM kills it."""
    return _at_its_limit(scene, until_killed=True)


def preempt(scene: Scene) -> bool:
    """A job of a better partition takes every core for some seconds."""
    if not tasks_of(scene, "R"):
        return False
    nodes = shell("sinfo", "-h", "-p", "main", "-o", "%D").strip()
    shell("sbatch", "-p", "main", "-N", nodes, "--exclusive", "-o", "/dev/null", "--wrap", "sleep 3")
    return True


def node_down(scene: Scene) -> bool:
    task = any_of(tasks_of(scene, "R"))
    node = shell("squeue", "-h", "-j", task, "-o", "%N").strip() if task is not None else ""
    if not node:
        return False
    shell("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=campaign")
    time.sleep(2)
    shell("scontrol", "update", f"NodeName={node}", "State=RESUME")
    return True


def orphan(scene: Scene) -> bool:
    """The daemons of SLURM that watch over a job die, as with its node; the job itself goes on, unseen by SLURM."""
    pids = _workers(scene)
    if not pids:
        return False
    above, daemons = random.choice(pids), set[int]()
    while above > 1:
        try:
            fields = Path(f"/proc/{above}/stat").read_text().rpartition(")")[2].split()
            name = Path(f"/proc/{above}/comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            break
        if name.startswith("slurmstepd"):
            daemons.add(above)
        above = int(fields[1])
    for pid in daemons:
        os.kill(pid, signal.SIGKILL)
    return bool(daemons)


def resume_drained() -> None:
    """What an operator does: SLURM drains a node on which a job that it gave up on turns out to be alive."""
    nodes = sorted(set(shell("sinfo", "-h", "-N", "-t", "drain", "-o", "%N").split()))
    if nodes:
        shell("scontrol", "update", f"NodeName={','.join(nodes)}", "State=RESUME")


def kill_controller(scene: Scene) -> bool:
    return scene.signal_controller(signal.SIGKILL)


def log_out(scene: Scene) -> bool:
    return scene.signal_controller(signal.SIGHUP)


def second_controller(scene: Scene) -> bool:
    """Two at once, then the first is killed: the second takes over."""
    first = scene.controller
    if first is None or first.poll() is not None:
        return False
    scene.start()
    time.sleep(random.uniform(0, 5))
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    return True


def cut_journal(scene: Scene) -> bool:
    """The controller is killed, and half of the journal is gone."""
    if not kill_controller(scene):
        return False
    for path in scene.results.glob("sweeps/*/study.journal"):
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)
    return True


def full_disk(scene: Scene) -> bool:
    """No byte is left for some seconds."""
    filler = scene.results / ".filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)) == 1 << 16:
                pass
    except OSError:
        pass  # full at last
    time.sleep(random.uniform(1, 6))
    filler.unlink(missing_ok=True)
    return True


def _workers(scene: Scene) -> list[int]:
    """Processes that carry out runs of this results folder."""
    collected = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        python = words[0].rpartition("/")[2].startswith("python")  # not the srun above it
        if python and "sweeps.executors.job" in words and str(scene.results) in "\0".join(words):
            collected.append(int(path.parent.name))
    return collected


def _task_of(pid: int) -> str | None:
    """The array task that a process is of, as squeue names it."""
    try:
        words = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    fields = dict(word.partition("=")[::2] for word in words)
    if not {"SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"} <= fields.keys():
        return None
    return f"{fields['SLURM_ARRAY_JOB_ID']}_{fields['SLURM_ARRAY_TASK_ID']}"


def _hit(scene: Scene, number: int) -> int | None:
    workers = _workers(scene)
    if not workers:
        return None
    victim = random.choice(workers)
    try:
        os.kill(victim, number)
    except ProcessLookupError:
        return None
    return victim


def kill_job(scene: Scene) -> bool:
    return _hit(scene, signal.SIGKILL) is not None


def terminate_job(scene: Scene) -> bool:
    return _hit(scene, signal.SIGTERM) is not None


def stall(scene: Scene) -> bool:
    """A job stands still for some seconds, as on a network disk that does not answer."""
    victim = _hit(scene, signal.SIGSTOP)
    if victim is None:
        return False
    time.sleep(random.uniform(1, 6))
    try:
        os.kill(victim, signal.SIGCONT)
    except ProcessLookupError:
        return False
    return True


def hang(scene: Scene) -> bool:
    """A job stands still for ever, as on a network disk that does not come back: the controller has to kill it."""
    return _hit(scene, signal.SIGSTOP) is not None


def die_at_start(scene: Scene) -> bool:
    """A job's process is killed before it has done anything; False if none starts within twenty seconds."""
    known, until = set(_workers(scene)), time.monotonic() + 20
    while time.monotonic() < until:
        for pid in set(_workers(scene)) - known:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return True
        time.sleep(0.01)
    return False


def die_in_setup(scene: Scene) -> bool:
    """The next job of the sweep ends in the shell lines of its cluster, before Python: see `campaign.CLUSTER`.

    A task is cancelled, so that one starts soon.
    """
    mark = scene.results / SETUP_MARK
    mark.touch()
    cancel(scene)
    until = time.monotonic() + 60
    while mark.exists() and time.monotonic() < until:
        time.sleep(0.1)
    hit = not mark.exists()
    mark.unlink(missing_ok=True)
    return hit


def deaths(scene: Scene) -> int:
    """How many deaths the controller has noted so far, of runs and of shared stages."""
    return sum(len(read_deaths(path.parent)) for path in scene.results.glob("*/*/deaths.jsonl"))


def is_fragile(scene: Scene) -> bool:
    """Whether one more death could be the third at its place, which rightly fails a run: not a moment for faults."""
    hanging = sum(_state(pid) == "T" for pid in _workers(scene))
    return any(hanging + _deaths_at_one_place(path) >= 2 for path in scene.results.glob("*/*/deaths.jsonl"))


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _deaths_at_one_place(path: Path) -> int:
    """How many of the last deaths of a run or stage that is not done are at the place of the last one."""
    if any((path.parent / name).exists() for name in ("result.json", "weights.safetensors")):
        return 0
    places = [(death["stage"], death["step"]) for death in read_deaths(path.parent)]
    return len(list(itertools.takewhile(lambda place: place == places[-1], reversed(places))))


DEADLY: tuple[Fault, ...] = (kill_job, hang, die_at_start, die_in_setup)
LOCALLY: tuple[Fault, ...] = (
    kill_controller, log_out, second_controller, cut_journal, full_disk, kill_job, terminate_job, stall, hang,
    die_at_start,
)  # fmt: skip
ON_SLURM: tuple[Fault, ...] = (
    requeue, requeue_in_a_checkpoint, cancel, timeout, overrun, preempt, node_down, orphan, die_in_setup,
    restart_slurmctld, restart_accounting, restart_munge, drain_partition, *LOCALLY,
)  # fmt: skip
