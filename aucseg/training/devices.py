"""Where a run is trained: on which processes of which machines, and who started them."""

from __future__ import annotations

import os

from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)


def cluster_environment() -> ClusterEnvironment:
    """Who started the processes: torchrun, srun, or nobody yet, so that Lightning will.

    A batch script of Slurm that runs one process without srun is one process, whatever the job has been
    given. Slurm's requeue is not Lightning's business: its checkpoints would lie beside those of the run.
    """
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    if "SLURM_STEP_ID" in os.environ and int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return SLURMEnvironment(auto_requeue=False)
    return LightningEnvironment()
