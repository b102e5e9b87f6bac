"""At its standard encoder each network has the number of parameters that its authors publish."""

from __future__ import annotations

import csv

import pytest
import torch

from aucseg.models import create_model, standard_encoder
from aucseg.models.registry import NETWORKS
from tests.repository import ROOT

with (ROOT / "data/networks/parameters.csv").open(encoding="utf-8") as file:
    PUBLISHED = list(csv.DictReader(file))


@pytest.mark.parametrize(
    "row",
    [row for row in PUBLISHED if row["network"] in NETWORKS],
    ids=lambda row: f"{row['network']}-{row['encoder']}",
)
def test_parameters_are_within_two_percent(row):
    with torch.device("meta"):
        network = create_model(row["network"], row["encoder"] or None, num_classes=int(row["classes"]))
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert millions == pytest.approx(float(row["parameters_millions"]), rel=0.02)


def test_every_network_has_a_published_size():
    assert set(NETWORKS) <= {row["network"] for row in PUBLISHED}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_standard_encoder_is_one_of_the_published(name):
    assert (standard_encoder(name) or "") in {row["encoder"] for row in PUBLISHED if row["network"] == name}
