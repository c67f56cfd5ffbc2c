"""Executor for SLURM: submits job arrays, reads their states and ends, cancels them."""

from __future__ import annotations

import logging
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from simvtp.config.run_dirs import FEW
from simvtp.config.schema import Config
from simvtp.errors import ConfigError
from sweeps.executors import sbatch
from sweeps.executors.base import JobEnd, Refused
from sweeps.executors.cluster_config import Cluster
from sweeps.executors.code_snapshot import snapshot_code
from sweeps.executors.job_arrays import Array, arrays
from sweeps.plan import Run, chunks
from sweeps.state.failures import tail
from sweeps.state.run_states import RunRegistry
from sweeps.state.squeue import PENDING
from sweeps.state.submissions import PREFIX, Claim, Record

log = logging.getLogger(__name__)

QUERY_SECONDS = 60.0

# States of the accounting for jobs that were ended from outside.
_EXTERNAL = ("CANCELLED", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REQUEUED", "REVOKED")
_NOT_ENDED = ("PENDING", "RUNNING", "COMPLETING")

# What srun says where SLURM itself could not start the task, such as while munge or slurmctld is away; sacct calls this
# FAILED too.
_NOT_LAUNCHED = tuple(
    f"srun: error: {words}"
    for words in (
        "Application launch failed",
        "Task launch for StepId=",
        "Unable to confirm allocation",
        "Unable to create step",
    )
)

# Messages of sacct on a cluster without accounting.
_NO_ACCOUNTING = "accounting storage is disabled"


class Slurm:
    """Jobs of a SLURM cluster. They need no controller: a later one finds them by their claims.

    registry: of the results folder. preset: name of the preset, noted in results. cluster: what a job asks for.
    at_once: runs submitted at the same time, whatever arrays they are in (--jobs); None: all.
    """

    poll_seconds = 2.0
    stops_with_controller = False
    has_queue = True

    def __init__(self, registry: RunRegistry, preset: str, cluster: Cluster, at_once: int | None = None) -> None:
        if shutil.which("sbatch") is None:
            raise ConfigError(f"--cluster {cluster.name}: there is no sbatch on this machine; use --cluster local")
        sbatch.check_path(registry.submissions.folder)
        self.registry, self.preset, self.cluster = registry, preset, cluster
        self.submissions, self.queue = registry.submissions, registry.queue
        self.records: dict[str, Record] = {}
        self.capacity = at_once or sys.maxsize
        self._max_array: int | None = None
        self._ends: tuple[float, Mapping[str, str] | None] = (0.0, None)
        self._has_accounting = True

    def max_array(self) -> int:
        """Tasks that an array may have. Its folder gets three files for each, hence not more than FEW.

        Raises Refused, to try again later, where SLURM does not answer.
        """
        if self._max_array is None:
            code, out, words = _ask("scontrol", "show", "config")
            match = re.search(r"^MaxArraySize\s*=\s*(\d+)", out, re.MULTILINE)
            if code or not match:
                raise Refused(f"cluster {self.cluster.name}: scontrol does not answer: {words}", transient=True)
            self._max_array = min(FEW, max(1, int(match[1]) - 1))
        return self._max_array

    def check(self) -> None:
        """Ask SLURM whether it would accept a job of this cluster; raises Refused if it never will."""
        script = sbatch.batch_script(self.submissions.folder, self._options(None), (), 1, 1)
        try:
            sbatch.try_out(script, self.cluster.name)
        except Refused as error:
            if not error.transient:
                raise
            log.warning(f"{error}; jobs are submitted when it takes them")

    def attach(self, runs: Sequence[Run]) -> dict[str, Claim]:
        """Claims of these runs whose job SLURM still has."""
        if runs:
            snapshot_code(self.registry.results)  # the code at the sweep's start, not as it is edited later
        self.queue.current()
        claims = {run.id: self.submissions.claim("run", run.id) for run in runs}
        return {run: claim for run, claim in claims.items() if claim is not None and not self.is_over(claim)}

    def submit(self, runs: Sequence[Run]) -> dict[str, Claim]:
        """Submit the runs that no controller has submitted yet; returns the job of each submitted run."""
        jobs: dict[str, Claim] = {}
        with self.submissions.exclusive():
            jobs |= self.attach(runs)
            wanted, made = self._missing([run for run in runs if run.id not in jobs])
            if not wanted:
                return jobs
            code = snapshot_code(self.registry.results)
            sent: list[Record] = []
            for array in arrays(wanted, made, self.cluster.pack, self.max_array()):
                own = {run.id: run.stage for run in wanted if run.stage is not None and not made[run.stage]}
                stages = own if array.after is None else {}
                record = self.submissions.open(self.preset, array.tasks, stages)
                record = self.submissions.set_job_id(record, self._submit(record, code, _dependency(array, sent)))
                self.records[record.token] = replace(record, entries=())  # there may be thousands of entries
                sent.append(self.records[record.token])
                for number, task in enumerate(array.tasks):
                    jobs |= {item.id: Claim(record.token, number) for item in task if item.kind == "run"}
        return jobs

    def _missing(self, runs: Sequence[Run]) -> tuple[list[Run], dict[str, bool]]:
        """Runs whose pre-training is not in another submission, and stage -> whether it is done."""
        made = {run.stage: self.registry.is_pretrained(run.stage) for run in runs if run.stage is not None}
        elsewhere = {stage for stage, ready in made.items() if not ready and self._is_claimed(stage)}
        return [run for run in runs if run.stage not in elsewhere], made

    def describe_plan(self, runs: Sequence[Run]) -> list[str]:
        """The arrays that would be submitted."""
        wanted, made = self._missing(runs)
        try:
            longest = self.max_array()
        except Refused as error:
            return [f"{error}; the arrays are not known until it does"]
        planned = list(arrays(wanted, made, self.cluster.pack, longest))
        lines = []
        for number, array in enumerate(planned):
            kind = "stages" if array.tasks[0][0].kind == "pretrain" else "runs"
            items = sum(map(len, array.tasks))
            after = "" if array.after is None else f", after array {array.after + 1}"
            after += "" if array.task is None else f", task {array.task}"
            lines.append(f"array {number + 1}: {len(array.tasks)} jobs of {items} {kind}{after}")
        if len(runs) > len(wanted):
            lines.append(f"{len(runs) - len(wanted)} runs wait for a stage that another sweep has submitted")
        jobs = sum(len(array.tasks) for array in planned)
        return [*lines, f"would submit {jobs} jobs in {len(planned)} arrays to {self.cluster.name}"]

    def _is_claimed(self, stage: str) -> bool:
        claim = self.submissions.claim("pretrain", stage)
        return claim is not None and not self.is_over(claim)

    def _submit(self, record: Record, code: Path, dependency: str | None) -> str:
        """Write the script of an array and submit it; gives the number of the job. Raises Refused."""
        folder = self.submissions.folder / record.token
        # PYTHONSAFEPATH: else Python would import from the folder that the command is given in, not from the copy.
        path = shlex.quote(str(code)) + "${PYTHONPATH:+:$PYTHONPATH}"
        setup = [*self.cluster.setup, f"export PYTHONPATH={path} PYTHONSAFEPATH=1"]
        options = self._options(record.items(0)[0].config)
        options |= {"job-name": PREFIX + record.token, "dependency": dependency}
        script = folder / "batch.sh"
        script.write_text(sbatch.batch_script(folder, options, setup, len(record.entries), self.cluster.parallel))
        return sbatch.submit(script, self.cluster.name)

    def _options(self, config: Config | None) -> dict[str, str | int | bool | None]:
        """Options of sbatch for a job. config: of its first run, for the number of threads."""
        cluster = self.cluster
        threads = max(1, config.machine.threads or config.machine.workers) if config is not None else 1
        return {
            "partition": cluster.partition, "account": cluster.account, "qos": cluster.qos,
            "constraint": cluster.constraint, "exclude": cluster.exclude, "mem": cluster.memory,
            "gpus-per-node": self._gpus(), "time": cluster.time, "nodes": cluster.nodes,
            "ntasks-per-node": cluster.tasks, "signal": f"USR2@{cluster.signal_seconds}",
            "cpus-per-task": (cluster.cpus or threads) * cluster.pack, **cluster.sbatch,
        }  # fmt: skip

    def _gpus(self) -> int | None:
        if self.cluster.gpus is None:
            return 1 if self.preset != "tiny" else None
        return self.cluster.gpus or None

    def is_pending(self, job: Claim) -> bool:
        """Whether SLURM has not started the job yet, or will start it again."""
        state = self.queue.current().state(job.token, job.task)
        return state is not None and state[0] in PENDING

    def is_over(self, job: Claim) -> bool:
        """Whether SLURM no longer has the job. A job submitted after the last query of the queue is not over."""
        snapshot = self.queue.current()
        if snapshot.state(job.token, job.task) is not None:
            return False
        record = self._record(job.token)
        return record is None or snapshot.time > record.created + 1

    def end_of(self, job: Claim) -> JobEnd:
        """How the job ended, by the accounting.

        A job that it does not list and that wrote no output, or whose task SLURM could not start, never began.

        UNKNOWN also while the accounting does not list the end yet. On a cluster without accounting every end counts
        as the job's own.
        """
        record, output, ends = self._record(job.token), self.log_path(job), self._ends_of_jobs()
        if record is None or output is None:
            return JobEnd.EXTERNAL  # it was never submitted: sbatch refused it, or its controller was killed
        if not _was_launched(output):
            return JobEnd.EXTERNAL
        if ends is None:
            return JobEnd.UNKNOWN
        if not ends and not self._has_accounting:
            return JobEnd.OWN
        state = ends.get(record.number(job.task), "")
        if state in _NOT_ENDED:
            return JobEnd.UNKNOWN
        external = state.startswith(_EXTERNAL) or (not state and not output.exists())
        return JobEnd.EXTERNAL if external else JobEnd.OWN

    def stage_job(self, run: Run, job: Claim) -> Claim:
        claim = self.submissions.claim("pretrain", run.stage) if run.stage is not None else None
        return claim or job

    def _ends_of_jobs(self) -> Mapping[str, str] | None:
        """Job -> its end by the accounting, for all arrays of this executor; None if it does not answer.

        Asked once after each query of the queue: jobs that are over by that query had ended before.
        """
        looked = self.queue.current().time
        if self._ends[0] != looked or self._ends[1] is None:
            numbers = ",".join(record.job for record in self.records.values() if record.job)
            code, out, words = _ask("sacct", "-X", "-n", "-P", "-o", "JobID,State", "-j", numbers)
            self._has_accounting = _NO_ACCOUNTING not in words.lower()
            if code and self._has_accounting:
                log.warning(f"sacct does not answer ({words}); it is not known yet how jobs ended")
            lines = (line.partition("|") for line in out.splitlines())
            unknown = code and self._has_accounting
            self._ends = looked, None if unknown else {name: state for name, _, state in lines}
        return self._ends[1]

    def _record(self, token: str) -> Record | None:
        """None if there is no such record; one that had no number yet is read again."""
        known = self.records.get(token)
        if known is None or known.job is None:
            known = self.submissions.read(token)
            if known is not None:
                self.records[token] = replace(known, entries=())
        return known

    def describe(self, job: Claim) -> str:
        """The job, as squeue names it."""
        record = self._record(job.token)
        return f"job {record.number(job.task)}" if record and record.job else f"submission {job.token}"

    def log_path(self, job: Claim) -> Path | None:
        record = self._record(job.token)
        if record is None or record.job is None:
            return None
        return self.submissions.folder / job.token / f"{record.number(job.task)}_0_log.out"

    def stop(self, jobs: Sequence[Claim]) -> None:
        """Cancel jobs; each is sent SIGTERM first, so its run writes a checkpoint."""
        records = {job: self._record(job.token) for job in jobs}
        numbers = {record.number(job.task) for job, record in records.items() if record is not None and record.job}
        for part in chunks(sorted(numbers), 500):
            code, _, words = _ask("scancel", *part)
            if code:
                log.warning(f"scancel: {words}")

    def kill(self, job: Claim) -> None:
        self.stop([job])


def _was_launched(output: Path) -> bool:
    """Whether SLURM could start the task, by what srun wrote."""
    return not any(line.startswith(_NOT_LAUNCHED) for line in tail(output))


def _dependency(array: Array, sent: Sequence[Record]) -> str | None:
    """What `sbatch --dependency` takes: the tasks followed must end well."""
    if array.after is None:
        return None
    job = sent[array.after].job
    return f"aftercorr:{job}" if array.task is None else f"afterok:{job}_{array.task}"


def _ask(*words: str) -> tuple[int, str, str]:
    """(exit code, stdout, last line of stderr) of a command of SLURM; code 1 where it gives no answer in time."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=QUERY_SECONDS, check=False)
    except (subprocess.TimeoutExpired, FileNotFoundError) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, (done.stderr.strip().splitlines() or [""])[-1]
