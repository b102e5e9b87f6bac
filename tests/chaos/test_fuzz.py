"""Random inputs against slow programs: a few for each subject; ``make chaos`` has ten thousand."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from aucseg import losses, memory, metrics
from tests.chaos import fuzz
from tests.chaos.attack import FUZZED, Attack, assault, rows
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


def test_a_wrong_gradient_of_a_scaled_loss_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these losses' rounding is allowed to cost hides no error of one part in a thousand."""
    for name in ("LDAMLoss", "GCLLoss"):

        class Wrong(getattr(losses, name)):
            def forward(self, logits, target):
                found = super().forward(logits, target)
                return found * 1.001 - (found * 0.001).detach()

        monkeypatch.setattr(losses, name, Wrong)
        failed = 0
        for seed in range(20):
            try:
                fuzz.fuzz(name, seed)
            except Mismatch:
                failed += 1
        assert failed >= 5, name


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_what_rounding_may_cost_is_what_it_costs_plain_cross_entropy(scale: float) -> None:
    """PyTorch's cross entropy of scaled logits in single precision, against the same in double, keeps the
    bound, and now and then comes to a seventh of it: by no more is the bound looser than it has to be."""
    generator = torch.Generator().manual_seed(0)
    k, largest = 6, 0.0
    for _ in range(400):
        size = float(10 ** (3 * torch.rand((), generator=generator) - 1.5))
        z = (torch.randn(1, k, 1, 4, generator=generator) * size).requires_grad_()
        y = torch.randint(0, k, (1, 1, 4), generator=generator)
        leaf = z.detach().double().requires_grad_()
        (found,) = torch.autograd.grad(F.cross_entropy(scale * z, y), z)
        value = F.cross_entropy(scale * leaf, y)
        (wanted,) = torch.autograd.grad(value, leaf, retain_graph=True)
        batch = fuzz.Batch(z, y, leaf, leaf, y, {}, kinked=False)
        allowed = fuzz._scaled_rounding(lambda costs, y: costs.mean(), scale, 0.0)(batch, value)
        largest = max(largest, ((found - wanted).abs() / allowed).max().item())
    assert 1 / 7 < largest < 1


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


def test_two_jobs_attack_what_one_does(tmp_path: Path) -> None:
    subjects = ("presence_cross_entropy", "cross_entropy")
    found = []
    for jobs in (1, 2):
        place = tmp_path / str(jobs)
        assault(place, "1", only=("fuzz",), subjects=subjects, jobs=jobs, inputs=3)
        found.append([{**row, "seconds": 0.0} for row in rows(Attack(place, "1").pieces())])
    assert found[0] == found[1]
    assert [row["subject"] for row in found[0]] == ["cross_entropy", "presence_cross_entropy"]
    assert all(row["cases"] == 500 and row["failures"] == 0 for row in found[0])  # a whole piece


def test_the_attack_has_ten_thousand_inputs_for_each() -> None:
    assert Attack.__init__.__defaults__ == ("", FUZZED)
    assert FUZZED == 10_000
