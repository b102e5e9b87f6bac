"""The guide: verdicts worked out by hand, and claims whose numbers are those of the runs."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from aucseg.experiments import (
    DATASET_TITLES,
    EVIDENCE_DATASETS,
    GUIDE,
    VERDICT_WORDS,
    Claim,
    Measured,
    Results,
    get_experiment,
    judge,
    measure_claim,
)
from aucseg.training import ConfigError
from tests.repository import ROOT

NAN = math.nan
UP, DOWN, OPEN, SINGLE = (2.0, 0.5), (-2.0, 0.5), (0.3, 0.5), (3.0, NAN)
CLAIMS = [claim for question in GUIDE for claim in question.claims]


def at(tail, overall, dataset="streets", start=None):
    return Measured(dataset, start, 3, {"mIoU_tail": tail, "mIoU": overall}, "")


@pytest.mark.parametrize(
    ("places", "word"),
    [
        ([], "not measured"),
        ([at(SINGLE, SINGLE)], "undecided"),
        ([at(OPEN, OPEN)], "undecided"),
        ([at((0.0, 0.0), (0.0, 0.0))], "undecided"),  # both came to the same
        ([at(OPEN, UP)], "undecided"),  # the claim is about the tail
        ([at(UP, OPEN)], "better"),
        ([at(UP, OPEN), at(OPEN, OPEN, "camvid")], "better"),
        ([at(UP, OPEN), at(SINGLE, DOWN, "camvid")], "better"),  # a place of one seed does not count
        ([at(UP, DOWN)], "a trade"),
        ([at(UP, UP), at(OPEN, DOWN, "camvid")], "a trade"),
        ([at(UP, UP), at(DOWN, OPEN, "camvid")], "it depends"),
        ([at(DOWN, UP)], "worse"),
        ([at(OPEN, DOWN)], "worse"),
    ],
)
def test_verdicts_by_hand(places, word):
    assert word in VERDICT_WORDS
    assert judge(places).word == word


def test_sentences_name_places():
    places = [at(UP, OPEN), at(DOWN, OPEN, "camvid"), at(SINGLE, SINGLE, "camvid", "imagenet")]
    assert judge(places).sentence == (
        "The tail rises on drawn streets and falls on CamVid. All classes: undecided on drawn streets and "
        "CamVid. One seed on CamVid, from ImageNet weights."
    )


def test_a_claim_by_hand():
    """The paired difference and Student's interval, from the records one by one."""
    claim = next(claim for claim in CLAIMS if claim.about == "the AUC loss beside cross entropy")
    found = {(each.dataset, each.start): each for each in measure_claim(claim)}
    results = Results("ablation_components", "camvid", "laptop", compute="never")
    gains = []
    for seed in results.seeds:
        runs = [results.record(arm, seed) for arm in ("auc", "baseline")]
        assert all(runs)
        gains.append(100 * (runs[0].metrics["mIoU_tail"] - runs[1].metrics["mIoU_tail"]))
    n = len(gains)
    half = stats.t.ppf(0.975, n - 1) * stats.tstd(gains) / n**0.5
    measured = found["camvid", None]
    assert measured.seeds == n
    assert measured.changes["mIoU_tail"] == pytest.approx((sum(gains) / n, half))
    assert measured.key == "ablation_components/camvid/laptop"
    # short runs on other data are of the same claim; those that both tables share are told once
    assert {place[0] for place in found} == {"streets", "camvid", "ccp", "carla", "ecssd"}
    assert sum(each.dataset == "streets" for each in found.values()) == 1


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.about)
def test_claims_name_arms_and_pages_that_are_there(claim):
    for experiment, arm, than in claim.sources:
        assert {arm, than} <= {known.name for known in get_experiment(experiment).arms}
    assert (ROOT / f"{claim.chapter}.ipynb").is_file()
    experiment = claim.sources[0][0]
    assert f'"{experiment}' in (ROOT / f"{claim.chapter}.ipynb").read_text().replace('\\"', '"'), experiment


def test_an_arm_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="'ablation_components' has no arm 'acu'; did you mean 'auc'"):
        measure_claim(Claim("", "", (("ablation_components", "acu", "baseline"),)))


def test_no_claim_is_made_twice():
    assert len({claim.sources[0] for claim in CLAIMS}) == len(CLAIMS)
    assert len({claim.about for claim in CLAIMS}) == len(CLAIMS)
    assert set(DATASET_TITLES) == set(EVIDENCE_DATASETS)


def test_the_page_asks_every_question_and_types_no_number():
    page = (ROOT / "book" / "what_to_use.md").read_text(encoding="utf-8")
    for question in GUIDE:
        anchor = question.name.replace("_", "-")
        assert f"(guide-{anchor})=\n## {question.ask}\n\n{{{{ guide_{question.name} }}}}\n" in page
    assert "points for" not in page
    assert "±" not in page.replace("+0.00 ± 0.00", "")
