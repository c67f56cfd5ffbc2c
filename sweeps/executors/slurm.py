"""SLURM: runs as job arrays; a stage that several runs share is made once, and an array of runs follows it."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from simvtp.config.run_dirs import FEW
from simvtp.config.schema import Config
from simvtp.errors import ConfigError
from sweeps.executors.cluster_config import Cluster
from sweeps.executors.code_snapshot import take
from sweeps.executors.job_arrays import Array, arrays
from sweeps.plan import Run, cut
from sweeps.state.run_states import Ledger
from sweeps.state.squeue import WAITING
from sweeps.state.submissions import PREFIX, Claim, Record

# What sbatch says when the same command will do later.
_LATER = ("Unable to contact", "timed out", "temporarily", "not responding", "MaxSubmit", "SubmitLimit", "violates")


# How accounting calls the end of a job that was not of its own making.
_OUTSIDE = ("CANCELLED", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REQUEUED", "REVOKED", "PENDING", "RUNNING")


class Refused(ConfigError):
    """sbatch did not take a job. passes: whether it may take the same job later."""

    @property
    def passes(self) -> bool:
        return any(word in str(self) for word in _LATER)


class Batch(submitit.SlurmExecutor):
    """Submitit's batch script, with a command that finds its work in the record of the submission."""

    def send(self, name: str, tasks: int, parallel: int, dependency: str | None) -> str:
        """Submit an array; gives SLURM's number of it."""
        self.update_parameters(job_name=name, array_parallelism=parallel)
        self.parameters["map_count"] = tasks
        if dependency is not None:
            self.parameters["dependency"] = dependency
        words = [self.python, "-u", "-m", "sweeps.executors.job", shlex.quote(str(self.folder))]
        return str(self._submit_command(" ".join(words)).job_id)


class Slurm:
    """Jobs of a SLURM cluster. They need no controller: one that comes later finds them by their claims.

    at_once: runs that are handed to it at a time, whatever arrays they fall into (--jobs); None: all.
    """

    poll_seconds = 2.0
    stop_with_controller = False
    queues = True

    def __init__(self, ledger: Ledger, preset: str, cluster: Cluster, at_once: int | None = None) -> None:
        if shutil.which("sbatch") is None:
            raise ConfigError(f"--cluster {cluster.name}: there is no sbatch on this machine; use --cluster local")
        self.ledger, self.preset, self.cluster = ledger, preset, cluster
        self.submissions, self.queue = ledger.submissions, ledger.queue
        self.records: dict[str, Record] = {}
        self.capacity = at_once or sys.maxsize
        self._ends: tuple[float, Mapping[str, str] | None] = (0.0, None)

    @cached_property
    def longest(self) -> int:
        """Tasks that an array may have. Its folder gets three files for each, hence not more than FEW."""
        done = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, check=False)
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", done.stdout, re.MULTILINE)
        return min(FEW, max(1, int(found[1]) - 1)) if found else FEW

    def attach(self, runs: Sequence[Run]) -> dict[str, Claim]:
        """Jobs of an earlier controller, or of another sweep, in which some of these runs still are."""
        if runs:
            take(self.ledger.results)  # what the sweep begins with, not what is edited before a job is submitted
        self.queue.look()
        claims = {run.id: self.submissions.claim("run", run.id) for run in runs}
        return {run: claim for run, claim in claims.items() if claim is not None and not self.over(claim)}

    def submit(self, runs: Sequence[Run]) -> dict[str, Claim]:
        """Hand the runs to SLURM, but those that someone has handed to it already; gives the job of each."""
        jobs: dict[str, Claim] = {}
        with self.submissions.alone():
            jobs |= self.attach(runs)
            wanted, made = self._missing([run for run in runs if run.id not in jobs])
            if not wanted:
                return jobs
            code = take(self.ledger.results)
            sent: list[Record] = []
            for array in arrays(wanted, made, self.cluster.pack, self.longest):
                own = {run.id: run.stage for run in wanted if run.stage is not None and not made[run.stage]}
                stages = own if array.after is None else {}
                record = self.submissions.open(self.preset, array.tasks, stages)
                record = self.submissions.numbered(record, self._send(record, code, _dependency(array, sent)))
                self.records[record.token] = replace(record, entries=())  # kept without them: there may be thousands
                sent.append(self.records[record.token])
                for number, task in enumerate(array.tasks):
                    jobs |= {item.id: Claim(record.token, number) for item in task if item.kind == "run"}
        return jobs

    def _missing(self, runs: Sequence[Run]) -> tuple[list[Run], dict[str, bool]]:
        """Runs whose stage nobody makes at the moment, and whether the stages are made."""
        made = {run.stage: self.ledger.made(run.stage) for run in runs if run.stage is not None}
        elsewhere = {stage for stage, ready in made.items() if not ready and self._is_claimed(stage)}
        return [run for run in runs if run.stage not in elsewhere], made

    def intended(self, runs: Sequence[Run]) -> list[str]:
        """The arrays that would be submitted."""
        wanted, made = self._missing(runs)
        found = list(arrays(wanted, made, self.cluster.pack, self.longest))
        lines = []
        for number, array in enumerate(found):
            kind = "stages" if array.tasks[0][0].kind == "pretrain" else "runs"
            items = sum(map(len, array.tasks))
            after = "" if array.after is None else f", after array {array.after + 1}"
            after += "" if array.task is None else f", task {array.task}"
            lines.append(f"array {number + 1}: {len(array.tasks)} jobs of {items} {kind}{after}")
        if len(runs) > len(wanted):
            lines.append(f"{len(runs) - len(wanted)} runs wait for a stage that another sweep has submitted")
        jobs = sum(len(array.tasks) for array in found)
        return [*lines, f"would submit {jobs} jobs in {len(found)} arrays to {self.cluster.name}"]

    def _is_claimed(self, stage: str) -> bool:
        claim = self.submissions.claim("pretrain", stage)
        return claim is not None and not self.over(claim)

    def _send(self, record: Record, code: Path, after: str | None) -> str:
        cluster, config = self.cluster, record.items(0)[0].config
        batch = Batch(self.submissions.folder / record.token, python=shlex.quote(sys.executable))
        wanted = {
            "partition": cluster.partition, "account": cluster.account, "qos": cluster.qos,
            "constraint": cluster.constraint, "exclude": cluster.exclude, "mem": cluster.memory,
            "gpus_per_node": self._gpus(), "time": cluster.time, "nodes": cluster.nodes,
            "ntasks_per_node": cluster.tasks, "signal_delay_s": cluster.signal_seconds,
            "cpus_per_task": (cluster.cpus or _threads(config)) * cluster.pack,
        }  # fmt: skip
        extra = {"requeue": True, "kill-on-invalid-dep": "yes"} | dict(cluster.sbatch)
        # Outside the folder that the command is given in: else Python would import its code before the copy.
        path = shlex.quote(str(code)) + "${PYTHONPATH:+:$PYTHONPATH}"
        setup = [*cluster.setup, f"export PYTHONPATH={path} PYTHONSAFEPATH=1"]
        batch.update_parameters(
            **{key: value for key, value in wanted.items() if value is not None}, setup=setup, use_srun=True,
            stderr_to_stdout=True, additional_parameters=extra, srun_args=["--kill-on-bad-exit=1"],
        )  # fmt: skip
        try:
            return batch.send(PREFIX + record.token, len(record.entries), cluster.parallel, after)
        except (FailedJobError, FailedSubmissionError) as error:
            raise Refused(f"cluster {cluster.name}: sbatch refused the job: {_last_words(error)}") from error

    def _gpus(self) -> int | None:
        if self.cluster.gpus is None:
            return 1 if self.preset != "tiny" else None
        return self.cluster.gpus or None

    def waits(self, job: Claim) -> bool:
        """Whether SLURM has not started the job yet, or will start it again."""
        state = self.queue.look().state(job.token, job.task)
        return state is not None and state[0] in WAITING

    def over(self, job: Claim) -> bool:
        """Whether SLURM has the job no more. What was submitted after the last look at SLURM is not over."""
        snapshot = self.queue.look()
        if snapshot.state(job.token, job.task) is not None:
            return False
        record = self._record(job.token)
        return record is None or snapshot.time > record.created + 1

    def outside(self, job: Claim) -> bool:
        """What accounting says of a job that is over; one that it does not list, and that wrote nothing, never began.

        Without accounting, no.
        """
        record, output, ends = self._record(job.token), self.output(job), self._ends_of_jobs()
        if record is None or output is None or ends is None:
            return False
        state = ends.get(record.number(job.task), "")
        return state.startswith(_OUTSIDE) or (not state and not output.exists())

    def _ends_of_jobs(self) -> Mapping[str, str] | None:
        """Job -> how accounting calls its end, for all arrays known here; None without accounting.

        Asked once after each look at the queue: what that look found to be over had ended before.
        """
        looked = self.queue.look().time
        if self._ends[0] != looked:
            numbers = ",".join(record.job for record in self.records.values() if record.job)
            words = ["sacct", "-X", "-n", "-P", "-o", "JobID,State", "-j", numbers]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            lines = (line.partition("|") for line in done.stdout.splitlines())
            self._ends = looked, None if done.returncode else {job: state for job, _, state in lines}
        return self._ends[1]

    def _record(self, token: str) -> Record | None:
        """None where there is no such record; one that had no number yet is read again."""
        known = self.records.get(token)
        if known is None or known.job is None:
            known = self.submissions.read(token)
            if known is not None:
                self.records[token] = replace(known, entries=())
        return known

    def described(self, job: Claim) -> str:
        """The job, as `squeue` names it."""
        record = self._record(job.token)
        return f"job {record.number(job.task)}" if record else f"submission {job.token}"

    def output(self, job: Claim) -> Path | None:
        record = self._record(job.token)
        if record is None or record.job is None:
            return None
        return self.submissions.folder / job.token / f"{record.number(job.task)}_0_log.out"

    def stop(self, jobs: Sequence[Claim]) -> None:
        """Cancel jobs; each is sent SIGTERM first, so its run writes a checkpoint."""
        records = {job: self._record(job.token) for job in jobs}
        numbers = {found.number(job.task) for job, found in records.items() if found is not None and found.job}
        for part in cut(sorted(numbers), 500):
            subprocess.run(["scancel", *part], check=False)


def _dependency(array: Array, sent: Sequence[Record]) -> str | None:
    """What `sbatch --dependency` takes: the tasks followed must end well."""
    if array.after is None:
        return None
    job = sent[array.after].job
    return f"aftercorr:{job}" if array.task is None else f"afterok:{job}_{array.task}"


def _last_words(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if "error:" in line] or str(error).splitlines()
    return " ".join(lines).replace("sbatch: error: ", "")


def _threads(config: Config) -> int:
    return max(1, config.machine.threads or config.machine.workers)
