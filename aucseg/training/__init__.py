"""Configuration, Lightning module and data module, and ``train(config) -> Record``."""

from aucseg.errors import extra

with extra("train"):
    from aucseg.training.checkpoint import CheckpointError, load_module, read_checkpoint
    from aucseg.training.config import RunConfig
    from aucseg.training.datamodule import SegmentationDataModule, build_dataset
    from aucseg.training.module import SegmentationModule, TrainingDiverged
    from aucseg.training.objective import Objective
    from aucseg.training.record import Record, RecordError
    from aucseg.training.run import checkpoint_path, evaluate, run_folder, train
    from aucseg.training.schedule import learning_rate
    from aucseg.training.sections import (
        BankConfig,
        ConfigError,
        DataConfig,
        EvaluationConfig,
        LossConfig,
        ModelConfig,
        OptimConfig,
        QueueConfig,
    )

__all__ = [
    "BankConfig",
    "CheckpointError",
    "ConfigError",
    "DataConfig",
    "EvaluationConfig",
    "LossConfig",
    "ModelConfig",
    "Objective",
    "OptimConfig",
    "QueueConfig",
    "Record",
    "RecordError",
    "RunConfig",
    "SegmentationDataModule",
    "SegmentationModule",
    "TrainingDiverged",
    "build_dataset",
    "checkpoint_path",
    "evaluate",
    "learning_rate",
    "load_module",
    "read_checkpoint",
    "run_folder",
    "train",
]
