"""What runs many commands: on this machine, on Slurm, on Dask; or prints a script that does.

Engines know commands and nothing of runs or notebooks; a new one is a file and a line in ``ENGINES``.

==============  =========================================================================
``local.py``    processes of this machine
``slurm.py``    a job array, handed over by submitit (extra ``slurm``)
``dask.py``     workers of a Dask cluster
``script.py``   the text of a job array for ``sbatch``, without anything to install
``task.py``     a command, how it ended, and where it is to run
==============  =========================================================================
"""

from collections.abc import Callable, Mapping, Sequence

from aucseg.engines.dask import run_dask
from aucseg.engines.local import run_local
from aucseg.engines.script import run_script
from aucseg.engines.slurm import run_slurm
from aucseg.engines.task import MORE, STOPPED, Ended, Place, Task, on_leash

Engine = Callable[[Sequence[Task], Place, Callable[[str], None]], dict[str, int]]

ENGINES: Mapping[str, Engine] = {
    "local": run_local,
    "slurm": run_slurm,
    "dask": run_dask,
    "script": run_script,
}

__all__ = ["ENGINES", "MORE", "STOPPED", "Ended", "Engine", "Place", "Task", "on_leash"]
