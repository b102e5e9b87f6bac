"""A plain script for ``sbatch``: for sites on which nothing may be installed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from aucseg import paths
from aucseg.engines.task import Place, Task


def run_script(tasks: Sequence[Task], place: Place, report: Callable[[str], None]) -> dict[str, int]:
    """Print a script for ``sbatch`` that is a job array, with a job for each task.

    Each job is told ``place.warning`` seconds before its end by SIGUSR1: the command then saves what it has
    and asks Slurm to queue the job again.

    Args:
        tasks: the commands.
        place: limits and sizes of a job.
        report: called with the text.

    Returns:
        Nothing: no task has run.
    """
    place.make_folder()
    options: dict[str, object] = {
        "job-name": "aucseg",
        "array": f"0-{len(tasks) - 1}%{place.jobs}",
        "time": place.minutes,
        "signal": f"B:USR1@{place.warning}",
        "requeue": "",
        "open-mode": "append",
        "output": place.folder / "%A_%a.log",
        "partition": place.partition,
        "gpus": place.gpus,
        "cpus-per-task": place.cpus,
        "mem": None if place.memory is None else f"{round(1024 * place.memory)}M",
    }
    options |= place.more
    asked = {key: str(value) for key, value in options.items() if value is not None}
    report(
        "\n".join(
            [
                "#!/bin/bash",
                *(
                    f"#SBATCH --{key}={value}" if value else f"#SBATCH --{key}"
                    for key, value in asked.items()
                ),
                f"export AUCSEG_HOME={shlex.quote(str(paths.home()))}",
                "commands=(",
                *(f"  {shlex.quote(shlex.join(task.command))}" for task in tasks),
                ")",
                "# exec: the signal comes to this process, and to no other",
                'eval "exec ${commands[$SLURM_ARRAY_TASK_ID]}"',
            ]
        )
    )
    return {}
