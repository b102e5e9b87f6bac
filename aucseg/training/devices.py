"""Where a run is trained: on which processes of which machines, who started them, and what they agree on."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from lightning import Trainer
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.plugins.layer_sync import LayerSync
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from aucseg.errors import UserError
from aucseg.training.config import RunConfig
from aucseg.training.section import ConfigError


class RankLost(UserError, RuntimeError):
    """Another process of the training has ended or does not answer; the message says how to go on."""


def cluster_environment() -> ClusterEnvironment:
    """Who started the processes: torchrun, srun, or nobody yet, so that Lightning will.

    A batch script of Slurm that runs one process without srun is one process, whatever the job has been
    given. Slurm's requeue is not Lightning's business: its checkpoints would lie beside those of the run.

    Raises:
        ConfigError: if Slurm has not been told how many processes a machine has.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if _by_srun():
        try:
            return SLURMEnvironment(auto_requeue=False)
        except RuntimeError as error:
            raise ConfigError(f"srun: {error}") from error
    return LightningEnvironment()


def _by_srun() -> bool:
    return "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1


def is_first() -> bool:
    """Whether this process is the one that writes and prints: the only one, or rank 0.

    It is known from the environment, before the processes have met.
    """
    if TorchElasticEnvironment.detect():
        return os.environ["RANK"] == "0"
    if _by_srun():
        return os.environ["SLURM_PROCID"] == "0"
    return all(os.environ.get(name, "0") == "0" for name in ("NODE_RANK", "LOCAL_RANK"))


class Ranks(NamedTuple):
    """The processes of a training.

    Attributes:
        devices: processes of each machine.
        nodes: machines.
    """

    devices: int
    nodes: int

    @property
    def number(self) -> int:
        """All processes."""
        return self.devices * self.nodes


def plan_ranks(config: RunConfig) -> Ranks:
    """How many processes a run is trained by: what is configured, or what torchrun or srun has started.

    Args:
        config: the run.

    Raises:
        ConfigError: if the two are not the same, or the batch cannot be divided.
    """
    started = None
    if TorchElasticEnvironment.detect():
        ranks, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        started = "torchrun", Ranks(here, ranks // here)
    elif _by_srun():
        ranks, nodes = int(os.environ["SLURM_STEP_NUM_TASKS"]), int(os.environ.get("SLURM_NNODES", "1"))
        started = "srun", Ranks(ranks // nodes, nodes)
    asked = Ranks(1 if config.devices == "auto" else config.devices, config.num_nodes)
    found = asked
    if started is not None:
        who, found = started
        wrong = config.num_nodes != 1 and found.nodes != config.num_nodes
        if wrong or config.devices not in ("auto", found.devices):
            raise ConfigError(
                f"{who} has started {found.devices} processes on {found.nodes} machines, and the "
                f"configuration says {asked.devices} on {asked.nodes}",
                remedy="leave devices and num_nodes out, or let both say the same",
            )
    parts = found.number * config.accumulate
    if config.data.batch_size % parts:
        raise ConfigError(
            f"data.batch_size is the whole batch, {config.data.batch_size} images, which {found.number} "
            f"processes with {config.accumulate} micro-batches each cannot share equally",
            remedy=f"make it a multiple of {parts}, or change devices, num_nodes or accumulate",
        )
    return found


def make_strategy(config: RunConfig, ranks: Ranks) -> Any:
    """Lightning's strategy for so many processes.

    Args:
        config: the run.
        ranks: its processes.

    Raises:
        ConfigError: for a strategy that cannot be had here.
    """
    if config.strategy == "fsdp":
        raise ConfigError(
            "strategy 'fsdp' shards the weights, and the objective, the bank and the checkpoint of a run "
            "need them whole",
            remedy="use ddp; accumulate makes room for a large batch",
        )
    if ranks.number == 1 and config.strategy == "auto":
        return "auto"
    # Which parameters a step uses may depend on its images: a rank without a region has none for its branch.
    return DDPStrategy(timeout=timedelta(seconds=config.rank_timeout), find_unused_parameters=True)


class SyncedBatchNorm(LayerSync):
    """Batch normalisation over the images of all ranks, timm's layers with their activation among them."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Let every batch normalisation of a network know its ranks.

        Args:
            model: the network.
        """
        from timm.layers import convert_sync_batchnorm

        converted: nn.Module = convert_sync_batchnorm(model)
        return converted

    def revert(self, model: nn.Module) -> nn.Module:
        """Nothing: in evaluation they normalise by what they have learnt.

        Args:
            model: the network.
        """
        return model


def sync_plugins(config: RunConfig, ranks: Ranks, *, on_gpu: bool) -> list[LayerSync]:
    """What makes batch normalisation one over ranks, where that is wanted and possible.

    Args:
        config: the run.
        ranks: its processes.
        on_gpu: whether they have GPUs.

    Raises:
        ConfigError: if it is wanted on CPUs, where PyTorch has none.
    """
    if config.sync_batchnorm and not on_gpu:
        raise ConfigError(
            "sync_batchnorm needs GPUs, PyTorch's has no other", remedy="leave it out, or set it to false"
        )
    wanted = on_gpu if config.sync_batchnorm is None else config.sync_batchnorm
    return [SyncedBatchNorm()] if wanted and ranks.number > 1 else []


def told_differences(config: RunConfig, ranks: Ranks, network: nn.Module, *, synced: bool) -> Iterator[str]:
    """In what a run over several ranks or micro-batches is not the same as on one device, in lines.

    Args:
        config: the run.
        ranks: its processes.
        network: the network.
        synced: whether its batch normalisation is one over ranks.
    """
    modules = list(network.modules())
    parts = config.accumulate * (1 if synced else ranks.number)
    if parts > 1 and any(isinstance(part, _BatchNorm) for part in modules):
        yield (
            f"batch normalisation takes the statistics of {config.data.batch_size // parts} of the "
            f"{config.data.batch_size} images of a batch, not of all: numbers differ from those of one device"
        )
    if ranks.number * config.accumulate > 1 and any(
        getattr(part, "p", getattr(part, "drop_prob", 0)) for part in modules if "Drop" in type(part).__name__
    ):
        yield "dropout draws other numbers than on one device: each process and micro-batch has its own"


def start(trainer: Trainer, config: RunConfig, report: Callable[[str], None]) -> None:
    """Let the processes of a training meet; where nobody has started them, they are started now.

    Args:
        trainer: of this process.
        config: the run.
        report: called with a line where there is something to say.
    """
    if trainer.world_size == 1:
        return
    if trainer.strategy.launcher is not None:
        trainer.strategy.launcher.launch(lambda: None, trainer=trainer)
    trainer.strategy.setup_environment()
    report(f"{trainer.world_size} processes train together, on {trainer.num_nodes} machines")


@contextmanager
def first_before_others(trainer: Trainer) -> Iterator[None]:
    """Let rank 0 do something before all others do it: what it writes is there for them.

    Args:
        trainer: of this process.
    """
    together = trainer.world_size > 1
    if together and not trainer.is_global_zero:
        trainer.strategy.barrier("before")
    yield
    if together and trainer.is_global_zero:
        trainer.strategy.barrier("before")


def of_all_ranks(value: Any) -> list[Any]:
    """A value of each rank, on each; plain values.

    Args:
        value: of this rank.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [value]
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, value)
    return found


_LOST = re.compile(
    "Connection (closed|reset|refused)|Timed out|timed out|timeout|Broken pipe|NCCL|gloo|ProcessGroup|Socket"
)


@contextmanager
def ranks_told(trainer: Trainer, where: Callable[[], str]) -> Iterator[None]:
    """Say in words that another process has ended or hangs, and end those that this one has started.

    Args:
        trainer: of this process.
        where: says how far the run is.

    Raises:
        RankLost: in the place of what the backend raises.
    """
    if trainer.world_size == 1:
        yield
        return
    try:
        yield
    except Exception as error:
        _end_started(trainer)
        lost = isinstance(error, dist.DistError) or (
            type(error) is RuntimeError and _LOST.search(str(error)) is not None
        )
        if not lost:
            raise
        reason = " ".join(str(error).split())
        raise RankLost(
            f"process {trainer.global_rank} of {trainer.world_size}: another one has ended or does not "
            f"answer ({reason if len(reason) < 200 else reason[:200] + ' ...'}); {where()}",
            remedy="see what it said; rank_timeout is how long an answer may take",
        ) from error


def _end_started(trainer: Trainer) -> None:
    """A process that waits in a message for one that has ended hears no other signal."""
    for process in getattr(trainer.strategy.launcher, "procs", ()):
        if process.poll() is None:
            process.kill()


class Agreement:
    """A number that ranks agree on after each step, a step late, so that nobody waits for it.

    The largest that one of them said at a step is what all are told at the next.

    Args:
        timeout: seconds after which a rank that says nothing is given up.
    """

    def __init__(self, timeout: float) -> None:
        # a new group has half an hour of its own, whatever the first one has
        self._group: Any = dist.new_group(backend="gloo", timeout=timedelta(seconds=timeout))
        self._pending: tuple[Any, torch.Tensor] | None = None

    def say(self, number: int) -> int:
        """Say a number for this step.

        Args:
            number: of this rank, from 0.

        Returns:
            The largest of the last step, 0 at the first.
        """
        agreed = self.last()
        tensor = torch.tensor([number])
        work = dist.all_reduce(tensor, op=dist.ReduceOp.MAX, group=self._group, async_op=True)
        self._pending = work, tensor
        return agreed

    def last(self) -> int:
        """The largest of the last step, which is then done with; 0 without one."""
        if self._pending is None:
            return 0
        work, tensor = self._pending
        self._pending = None
        work.wait()
        return int(tensor)
