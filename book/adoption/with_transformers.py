"""A SegFormer, whose logits come at a quarter of the size, in the Trainer of transformers."""

import tempfile

import torch
from transformers import SegformerConfig, SegformerForSemanticSegmentation, Trainer, TrainingArguments

from aucseg.losses import AUCSegLoss, transformers_accumulation

K = 5
config = SegformerConfig(
    num_labels=K, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 1, 1]
)
model = SegformerForSemanticSegmentation(config)  # or .from_pretrained(...)
criterion = AUCSegLoss(num_classes=K, ce_weight=0.25, size="target")


class AUCTrainer(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **_):
        logits = model(inputs["pixel_values"]).logits
        loss = criterion(logits, inputs["labels"])
        return (loss, {"logits": logits}) if return_outputs else loss


data = [{"pixel_values": torch.rand(3, 64, 64), "labels": torch.randint(0, K, (64, 64))} for _ in range(8)]
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(
        folder,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=2,
        max_steps=2,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
    )
    trainer = AUCTrainer(model, arguments, train_dataset=data)
    # 4 images in a step, 2 at a time, with the exact gradient
    trainer.add_callback(transformers_accumulation(trainer, criterion))
    loss = trainer.train().training_loss
