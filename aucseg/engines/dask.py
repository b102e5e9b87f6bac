"""Workers of a Dask cluster, wherever they are; its scheduler deals with those that die."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aucseg.engines.task import MORE, Ended, Place, Process, Task
from aucseg.errors import OptionError, UserError, extra, without_password

_PATIENCE = "10s"


class DaskError(UserError):
    """The cluster cannot be reached, or gave a task up."""


def _run(task: Task) -> tuple[Ended, list[str]]:
    """What a worker does: the command in a process of its own, that ends when the worker does."""
    lines: list[str] = []
    while (ended := Process(task.command, {}).follow(lines.append)).code == MORE:
        pass
    return ended, lines


def run_dask(tasks: Sequence[Task], place: Place, report: Callable[[str], None]) -> dict[str, int]:
    """Run tasks on the workers of a Dask cluster; a task whose worker dies goes to another one.

    Workers must see the same folders as this machine; as many tasks run at a time as there are workers.

    Args:
        tasks: the commands.
        place: the address of the scheduler, and whom a crash is told.
        report: called with the lines that one printed, when it has ended, after its name.

    Returns:
        The exit code of each task by its name, 1 if the cluster gave it up.

    Raises:
        OptionError: without an address.
        DaskError: if nothing answers there.
        MissingExtraError: without Dask.
    """
    if place.scheduler is None:
        raise OptionError("no address of a Dask scheduler", remedy="give --scheduler tcp://HOST:8786")
    with extra("train"):
        from distributed import Client, as_completed
    try:
        client = Client(place.scheduler, timeout=_PATIENCE)
    except (OSError, ValueError, TimeoutError) as error:
        raise DaskError(
            f"no Dask scheduler answers at {place.scheduler} ({error})", remedy="`dask scheduler` starts one"
        ) from error
    codes: dict[str, int] = {}
    with client:
        futures = {client.submit(_run, task, pure=False): task.name for task in tasks}
        said = f"{len(tasks)} tasks are with {place.scheduler}, which shows them at {client.dashboard_link}"
        report(without_password(said))
        for future in as_completed(futures):
            name = futures[future]
            if future.status != "finished":
                codes[name] = 1
                report(f"{name}: given up by the cluster ({future.exception()})")
                continue
            ended, lines = future.result()
            for line in lines:
                report(f"{name}: {line}")
            codes[name] = ended.code
            if ended.crashed:
                report(f"{name}: {ended.how}")
                place.crashed(ended)
    return codes
