"""Job arrays of Slurm, handed over by submitit."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from aucseg.engines.task import MORE, Place, Process, Task
from aucseg.errors import UserError, extra

_SIGNAL = "USR1"  # what a training takes for its end; submitit's own is another one
_RETURNS = 50  # how often a job may come back because its time was over
_LOOK = 5.0  # seconds between two looks at the queue


class SlurmError(UserError):
    """Slurm did not take a job, or lost one."""


class Job:
    """What submitit calls in a job: a command, and what becomes of it when the job's time is over.

    A signal goes to the command, which saves what it has; that Slurm sends it there too does no harm. Then it
    goes where it would have gone without this class: to submitit, which asks Slurm to queue the job again.

    Args:
        task: the command.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self) -> int:
        """Run it.

        Raises:
            SlurmError: if it failed, so that Slurm counts the job as failed.
        """
        came: list[int] = []
        process: Process | None = None

        def handle(number: int, frame: FrameType | None) -> None:
            came.append(number)
            if process is not None:
                process.send(number)

        before = {n: signal.signal(n, handle) for n in (signal.SIGUSR1, signal.SIGTERM)}
        try:
            while not came:
                process = Process(self.task.command, {})
                ended = process.follow(lambda line: print(line, flush=True))  # noqa: T201
                if ended.code != MORE:
                    break
        finally:
            for number, was in before.items():
                signal.signal(number, was)
        if signal.SIGUSR1 in came and ended.code:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(60)  # the answer to it ends this process
        if ended.code:
            raise SlurmError(f"{self.task.name} {ended.how}")
        return ended.code

    def checkpoint(self) -> Any:
        """What submitit hands over again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def run_slurm(
    tasks: Sequence[Task], place: Place, report: Callable[[str], None], *, cluster: str = "slurm"
) -> dict[str, int]:
    """Hand tasks to Slurm as a job array, a job for each, ``place.jobs`` of them at a time.

    Args:
        tasks: the commands.
        place: limits and sizes of a job.
        report: called with lines about the jobs.
        cluster: which of submitit's executors; ``"local"`` runs jobs on this machine.

    Returns:
        With ``place.wait`` 0 or 1 for each task by its name, else nothing.

    Raises:
        MissingExtraError: without submitit.
        SlurmError: if Slurm does not take the jobs.
    """
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = _SIGNAL  # for the job, which imports submitit after this
    with extra("slurm"):
        import submitit
        from submitit.core.job_environment import JobEnvironment
    JobEnvironment.USR_SIG = _SIGNAL  # for this process, which may have imported it before
    place.make_folder()
    try:
        executor = submitit.AutoExecutor(place.folder, cluster=cluster, slurm_max_num_timeout=_RETURNS)
    except RuntimeError as error:
        raise SlurmError(
            str(error), remedy="use --engine local, or --print on a machine of the cluster"
        ) from error
    sizes: dict[str, Any] = {"timeout_min": place.minutes, "name": "aucseg"}
    sizes |= {"cpus_per_task": place.cpus, "gpus_per_node": place.gpus, "mem_gb": place.memory}
    sizes |= {"slurm_array_parallelism": place.jobs, "slurm_signal_delay_s": place.warning}
    sizes |= {"slurm_partition": place.partition}
    more: dict[str, Any] = {"requeue": True} | dict(place.more)
    executor.update_parameters(
        **{key: value for key, value in sizes.items() if value is not None}, slurm_additional_parameters=more
    )
    with executor.batch():
        jobs = [executor.submit(Job(task)) for task in tasks]
    report(f"{len(tasks)} jobs are queued, {place.jobs} at a time: {jobs[0].job_id.partition('_')[0]}")
    report(f"their logs: {place.folder}")
    if not place.wait:
        return {}
    codes: dict[str, int] = {}
    while len(codes) < len(tasks):
        queued = _queued(jobs) if cluster == "slurm" else {job.job_id for job in jobs if not job.done()}
        for task, job in zip(tasks, jobs, strict=True):
            if task.name not in codes and (job.paths.result_pickle.exists() or job.job_id not in queued):
                codes[task.name] = int(not _succeeded(job))
                report(f"{task.name}: {'failed' if codes[task.name] else 'done'} (job {job.job_id})")
        if len(codes) < len(tasks):
            time.sleep(_LOOK if cluster == "slurm" else 0.1)
    return codes


def _succeeded(job: Any) -> bool:
    result = job._get_outcome_and_result() if job.paths.result_pickle.exists() else ("error", "")
    return bool(result[0] == "success")


def _queued(jobs: Sequence[Any]) -> set[str]:
    """Which jobs Slurm has still."""
    array = jobs[0].job_id.partition("_")[0]
    command = ["squeue", "--noheader", "--array", "--format=%i", "--jobs", array]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return set(done.stdout.split())  # of jobs that it has forgotten it says nothing


def requeue() -> bool:
    """Ask Slurm to queue this job again; not where submitit does that.

    Returns:
        Whether it was asked.

    Raises:
        SlurmError: if it refuses.
    """
    job = os.environ.get("SLURM_JOB_ID")
    first = os.environ.get("SLURM_PROCID", "0") == "0"
    if job is None or not first or "SUBMITIT_EXECUTOR" in os.environ:
        return False
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True, check=False)
    except OSError as error:
        raise SlurmError(f"job {job} was not queued again ({error.strerror})") from error
    if done.returncode:
        raise SlurmError(f"job {job} was not queued again ({done.stderr.strip()})")
    return True
