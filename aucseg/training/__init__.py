"""Configuration, Lightning module and data module, and ``train(config) -> Record``."""

from aucseg.errors import extra

with extra("train"):
    from aucseg.training.bank import BankConfig
    from aucseg.training.checkpoint import CheckpointError, load_module, read_checkpoint
    from aucseg.training.claim import Claim, RunClaimed, claim
    from aucseg.training.classes import ClassInfo
    from aucseg.training.config import EvaluationConfig, FirstStageConfig, ModelConfig, RunConfig
    from aucseg.training.curves import Curves, TrainingDiverged
    from aucseg.training.datamodule import SegmentationDataModule
    from aucseg.training.methods import METHODS, LoaderFactory, Method, MethodConfig, MethodContext
    from aucseg.training.module import FirstStage, SegmentationModule
    from aucseg.training.objectives import OBJECTIVES, Objective, ObjectiveConfig, compositions
    from aucseg.training.optim import OptimConfig, learning_rate
    from aucseg.training.predict import (
        PlannedFile,
        PredictionPlan,
        overlay,
        plan_predictions,
        predict_files,
        predict_image,
        write_predictions,
    )
    from aucseg.training.record import Record, RecordError
    from aucseg.training.run import checkpoint_path, evaluate, run_folder, train
    from aucseg.training.section import ConfigError
    from aucseg.training.splits import DataConfig, build_dataset
    from aucseg.training.stop import TrainingStopped

__all__ = [
    "METHODS",
    "OBJECTIVES",
    "BankConfig",
    "CheckpointError",
    "Claim",
    "ClassInfo",
    "ConfigError",
    "Curves",
    "DataConfig",
    "EvaluationConfig",
    "FirstStage",
    "FirstStageConfig",
    "LoaderFactory",
    "Method",
    "MethodConfig",
    "MethodContext",
    "ModelConfig",
    "Objective",
    "ObjectiveConfig",
    "OptimConfig",
    "PlannedFile",
    "PredictionPlan",
    "Record",
    "RecordError",
    "RunClaimed",
    "RunConfig",
    "SegmentationDataModule",
    "SegmentationModule",
    "TrainingDiverged",
    "TrainingStopped",
    "build_dataset",
    "checkpoint_path",
    "claim",
    "compositions",
    "evaluate",
    "learning_rate",
    "load_module",
    "overlay",
    "plan_predictions",
    "predict_files",
    "predict_image",
    "read_checkpoint",
    "run_folder",
    "train",
    "write_predictions",
]
