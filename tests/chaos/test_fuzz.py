"""Random inputs against slow programs: a few for each subject; ``make chaos`` has ten thousand."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch

from aucseg import losses, memory, metrics
from tests.chaos import fuzz
from tests.chaos.__main__ import Attack, rows
from tests.chaos.fuzz import SUBJECTS, Draw, Mismatch

CASES = 12

# What makes no number of logits or images by itself.
PARTS = {
    "PixelwiseLoss",  # the base of others
    "SegmentationLoss",
    "RegionBranch",  # inside RegionRebalanceLoss
    "SimplexClassifier",
    "boundary_targets",  # inside boundary_loss
    "class_counts",  # inside the losses that take counts
    "class_presence",  # inside presence_cross_entropy
    "class_weights",
    "lightning_accumulation",  # loops around a loss, see tests/losses/test_accumulation.py
    "micro_batched",
    "transformers_accumulation",
    "two_passes",
    "FIFO",  # policies, inside the banks
    "LIFO",
    "PriorityUsed",
    "RandomReplacement",
    "ReplacementPolicy",
    "Slot",
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_equals_its_oracle(subject: str) -> None:
    for seed in range(CASES):
        fuzz.fuzz(subject, seed)


def test_every_loss_bank_and_metric_is_a_subject() -> None:
    public = {
        name
        for module in (losses, memory, metrics)
        for name in module.__all__
        if inspect.isclass(getattr(module, name)) or inspect.isfunction(getattr(module, name))
    }
    assert {name.partition("(")[0] for name in SUBJECTS} == public - PARTS


def test_a_wrong_number_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Off by one part in a thousand, in the value or in the gradient alone."""
    right = losses.cross_entropy

    def value(*arguments, **options):
        return right(*arguments, **options) * 1.001

    def gradient(*arguments, **options):
        found = right(*arguments, **options)
        return found * 1.001 - (found * 0.001).detach()

    for wrong in (value, gradient):
        monkeypatch.setattr(losses, "cross_entropy", wrong)
        failed = 0
        for seed in range(20):
            try:
                fuzz.fuzz("cross_entropy", seed)
            except Mismatch:
                failed += 1
        # half precision has no more digits than that, and many gradients are zero
        assert failed >= 5


def test_a_bank_that_paints_over_void_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Painting(memory.TailMemoryBank):
        def forward(self, images, target):
            images, target = super().forward(images, target)
            return images, target.masked_fill(target == 255, self.tail_classes[0])

    monkeypatch.setattr(memory, "TailMemoryBank", Painting)
    said = []
    for seed in range(20):
        try:
            fuzz.fuzz("TailMemoryBank", seed)
        except Mismatch as error:
            said.append(str(error))
    assert any("void has changed" in line for line in said)


def test_the_same_seed_is_the_same_case() -> None:
    first, second = (Draw(3).batch() for _ in range(2))
    assert torch.equal(first.logits, second.logits)
    assert torch.equal(first.target, second.target)


def test_an_attack_that_was_killed_while_it_wrote_goes_on(tmp_path: Path) -> None:
    attack = Attack(tmp_path)
    attack.do("fuzz", "a", 0, lambda: {"cases": 5})
    whole = attack.file.read_text()
    attack.do("fuzz", "b", 0, lambda: {"cases": 5})
    text = attack.file.read_text()
    for cut in (len(whole) + 1, len(text) - 3, len(text) - 1):
        attack.file.write_text(text[:cut])
        again: list[str] = []
        other = Attack(tmp_path)
        assert [piece["subject"] for piece in other.pieces()] == ["a"]
        for subject in ("a", "b", "c"):
            other.do(
                "fuzz", subject, 0, lambda subject=subject, again=again: again.append(subject) or {"cases": 5}
            )
        assert again == ["b", "c"]
        assert [piece["subject"] for piece in other.pieces()] == ["a", "b", "c"]


def test_what_was_done_to_another_commit_does_not_count(tmp_path: Path) -> None:
    done: list[str] = []
    for commit in ("1", "2", "1"):
        attack = Attack(tmp_path, commit)
        attack.do("fuzz", "a", 0, lambda commit=commit: done.append(commit) or {"cases": 5, "refused": 0})
        (row,) = rows(attack.pieces())
        assert row["cases"] == 5
    assert done == ["1", "2"]
