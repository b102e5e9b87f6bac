"""Decision rules: expected IoU by brute force on tiny images, and shifts that are found again."""

from __future__ import annotations

import itertools

import pytest
import torch

from aucseg.errors import OptionError
from aucseg.models import RULES, Rule, fit_rule
from aucseg.models.decision import mean_iou

UNIFORM = torch.full((3,), 1 / 3)


def _expected_iou(ids: torch.Tensor, probabilities: torch.Tensor) -> float:
    """Mean over classes of the expected IoU of a class, over every labelling of independent pixels."""
    count, pixels = probabilities.shape
    total = 0.0
    for labels in itertools.product(range(count), repeat=pixels):
        truth = torch.tensor(labels)
        weight = float(probabilities[truth, torch.arange(pixels)].prod())
        for k in range(count):
            union = ((ids == k) | (truth == k)).sum()
            total += weight * float(((ids == k) & (truth == k)).sum() / union) if union else 0.0
    return total / count


@pytest.mark.parametrize("seed", range(6))
def test_rankseg_comes_near_the_best_expected_iou(seed):
    """Every labelling of six pixels is tried; what the approximation loses is a small part of an IoU."""
    generator = torch.Generator().manual_seed(seed)
    probabilities = (1.5 * torch.randn(2, 6, generator=generator)).softmax(0)
    tried = [torch.tensor(ids) for ids in itertools.product(range(2), repeat=6)]
    best = max(_expected_iou(ids, probabilities) for ids in tried)
    found = _expected_iou(Rule("rankseg_all")(probabilities.view(1, 2, 1, 6)).flatten(), probabilities)
    assert found >= best - 0.05


def test_rankseg_beats_the_argmax_where_a_class_is_likely_and_never_first():
    """Forty pixels of four hundred have the rare class with 0.4: its expected IoU by drawn labels."""
    rare = torch.full((400,), 0.01)
    rare[:40] = 0.4
    probabilities = torch.stack([1 - rare, rare]).view(1, 2, 20, 20)
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(500, 400, generator=generator) < rare
    values = {}
    for name in ("rankseg_all", "rankseg", "argmax"):
        ids = Rule(name)(probabilities).flatten()
        values[name] = sum(mean_iou(ids, each.long(), 2) for each in truth) / len(truth)
    assert values["rankseg_all"] > values["argmax"] + 0.1
    assert values["rankseg"] == values["argmax"]  # the rare class is left out


def test_rankseg_gives_a_class_that_never_wins_unless_it_is_left_out():
    """One class has 0.4 everywhere: the argmax and the rule with the skip of 0.5 never say it."""
    probabilities = torch.tensor([[0.6, 0.95, 0.95, 0.95], [0.4, 0.05, 0.05, 0.05]]).view(1, 2, 1, 4)
    assert Rule("argmax")(probabilities).flatten().tolist() == [0, 0, 0, 0]
    assert Rule("rankseg")(probabilities).flatten().tolist() == [0, 0, 0, 0]
    assert Rule("rankseg_all")(probabilities).flatten().tolist() == [1, 0, 0, 0]


def _shifted(shift: torch.Tensor, count: int = 4_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores whose argmax is nearly always the label, moved by a shift of each class."""
    generator = torch.Generator().manual_seed(0)
    target = torch.multinomial(torch.tensor([0.8, 0.15, 0.05]), count, replacement=True, generator=generator)
    scores = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    scores += 6 * torch.nn.functional.one_hot(target, 3)
    return (scores + shift).softmax(1), target


def test_offsets_that_were_added_are_found_again():
    shift = torch.tensor([4.0, 0.0, -3.5], dtype=torch.float64)
    clean, target = _shifted(torch.zeros(3))
    moved, _ = _shifted(shift)
    rule = fit_rule("offsets", moved, target, UNIFORM)
    found = torch.tensor(rule.fitted["offsets"], dtype=torch.float64)
    assert found == pytest.approx(
        -(shift - shift.mean()), abs=1.6
    )  # any shift well within the margin will do
    ids = rule(moved.T.reshape(1, 3, 1, -1)).flatten()
    assert mean_iou(ids, target, 3) >= mean_iou(clean.argmax(1), target, 3) - 0.005
    assert mean_iou(moved.argmax(1), target, 3) < 0.9


def test_the_prior_is_taken_away_as_far_as_it_was_put_in():
    prior = torch.tensor([0.8, 0.15, 0.05], dtype=torch.float64)
    moved, target = _shifted(2.2 * prior.log())
    rule = fit_rule("prior", moved, target, prior)
    assert rule.fitted["tau"] > 0.5
    ids = rule(moved.T.reshape(1, 3, 1, -1)).flatten()
    assert mean_iou(ids, target, 3) > mean_iou(moved.argmax(1), target, 3)


def test_no_fit_is_worse_than_the_argmax_where_it_was_fitted():
    generator = torch.Generator().manual_seed(1)
    probabilities = torch.randn(500, 3, generator=generator).softmax(1)
    target = torch.randint(3, (500,), generator=generator)
    plain = mean_iou(probabilities.argmax(1), target, 3)
    for name in ("prior", "offsets"):
        ids = fit_rule(name, probabilities, target, torch.tensor([0.7, 0.2, 0.1]))(
            probabilities.T.reshape(1, 3, 1, -1)
        )
        assert mean_iou(ids.flatten(), target, 3) >= plain - 1e-9


def test_the_temperature_of_calibrated_labels_is_the_one_they_were_drawn_at():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 3, generator=generator, dtype=torch.float64)
    target = torch.multinomial((logits / 2.5).softmax(1), 1, generator=generator)[:, 0]
    fitted = fit_rule("temperature", logits.softmax(1), target, UNIFORM).fitted["temperature"]
    assert fitted == pytest.approx(2.5, rel=0.05)


def test_mean_iou_by_hand_and_unknown_rules():
    ids, target = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 1, 1])
    assert mean_iou(ids, target, 3) == pytest.approx((1 / 2 + 2 / 3) / 2)  # class 2 occurs nowhere
    assert mean_iou(torch.tensor([2]), torch.tensor([0]), 3) == 0
    with pytest.raises(OptionError, match="no decision rule 'maximum'"):
        Rule("maximum")
    assert len(set(RULES)) == len(RULES)
