"""Trainers that accumulate gradients on two processes: what each of them runs."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, TensorDataset

from aucseg.losses import AUCSegLoss, lightning_accumulation, transformers_accumulation

WORLD = 2
WEIGHT = 0.1


def as_rank(rank: int, folder: str, port: int) -> None:
    """A process as torchrun starts it."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(WORLD),
        "LOCAL_WORLD_SIZE": str(WORLD),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "aucseg",
    }


def with_lightning(rank: int, folder: str, port: int) -> None:
    """The gradients of a step of three micro-batches on each process."""
    as_rank(rank, folder, port)
    import lightning
    from lightning.pytorch.strategies import DDPStrategy

    from tests.losses.test_accumulation import Module, batch

    module = Module()
    with warnings.catch_warnings(action="ignore"):
        trainer = lightning.Trainer(
            max_epochs=2,
            accumulate_grad_batches=3,
            callbacks=[lightning_accumulation()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            accelerator="cpu",
            devices=WORLD,
            strategy=DDPStrategy(process_group_backend="gloo"),
            precision="64-true",
        )
        trainer.fit(module, DataLoader(TensorDataset(*batch()), batch_size=1))
    torch.save(module.seen, Path(folder) / f"lightning-{rank}.pt")


def with_transformers(rank: int, folder: str, port: int) -> None:
    """Likewise."""
    as_rank(rank, folder, port)
    found, *_ = steps_with_transformers(folder, size=1, ddp_backend="gloo")
    torch.save(found, Path(folder) / f"transformers-{rank}.pt")


def steps_with_transformers(folder: str, size: int, **options: Any) -> tuple[list[Any], Any, Any, Any]:
    """Two steps of three micro-batches by the Trainer of transformers.

    Returns:
        The gradients of each step, the network, the criterion, and what the trainer says at its end.
    """
    from tests.losses.test_accumulation import K, batch, gradients, network

    with warnings.catch_warnings(action="ignore"):
        import transformers

        found: list[list[torch.Tensor]] = []
        criterion, model = AUCSegLoss(K, ce_weight=0.5), network()

        class Own(transformers.Trainer):
            def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
                logits = model(inputs["images"])
                return criterion(logits, inputs["labels"]) + WEIGHT * logits.square().mean()

            def create_optimizer(self, *_: Any) -> Any:
                self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.0)
                self.optimizer.register_step_pre_hook(lambda *_: found.append(gradients(model)))
                return self.optimizer

        data = [{"images": image, "labels": labels} for image, labels in zip(*batch(), strict=True)]
        arguments = transformers.TrainingArguments(
            folder,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=3,
            max_steps=2,
            max_grad_norm=0.0,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            remove_unused_columns=False,
            disable_tqdm=True,
            **options,
        )
        trainer = Own(model, arguments, train_dataset=data)
        trainer.add_callback(transformers_accumulation(trainer, criterion))
        return found, model, criterion, trainer.train()
