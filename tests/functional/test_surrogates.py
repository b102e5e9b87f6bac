from __future__ import annotations

import pytest
import torch

from aucseg.functional import BilinearForm, SortedForm, surrogate_form
from tests.functional.oracle import SURROGATES

SCORES = torch.linspace(0, 1, 41, dtype=torch.float64)


def value(form: BilinearForm, own, other):
    """The form written out: sum_jk A_jk phi_j(own) phi_k(other) for every pair."""

    def polynomials(z):
        if form.chebyshev:
            return torch.stack([torch.cos(j * torch.arccos(z)) for j in range(form.degree + 1)])
        return torch.stack([z**j for j in range(form.degree + 1)])

    return torch.einsum(
        "jm,jk,kn->mn", polynomials(form.own(own)), form.matrix, polynomials(form.other(other))
    )


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize(("margin", "scale"), [(1.0, 1.0), (2.0, 1.0), (1.0, 0.3), (6.0, 5.0)])
def test_the_form_is_the_surrogate(surrogate, margin, scale):
    if surrogate in ("exp", "logistic"):
        margin = 1.0
    form = surrogate_form(surrogate, margin=margin, scale=scale)
    x = scale * (SCORES[:, None] - SCORES[None, :])
    error = (value(form, SCORES, SCORES) - SURROGATES[surrogate](x, margin)).abs().max()
    assert error <= form.error_bound + 1e-12
    assert (form.error_bound == 0) == (surrogate != "logistic")


def test_any_smooth_function_within_its_bound():
    form = surrogate_form(lambda x: torch.exp(-x).arctan(), scale=3.0, tolerance=1e-6)
    x = 3 * (SCORES[:, None] - SCORES[None, :])
    error = (value(form, SCORES, SCORES) - torch.exp(-x).arctan()).abs().max()
    assert 0 < error <= form.error_bound <= 1e-6


def test_another_range_of_scores():
    scores = torch.linspace(-4, 2, 31, dtype=torch.float64)
    for surrogate in ("logistic", "exp", "square"):
        form = surrogate_form(surrogate, score_range=(-4.0, 2.0))
        expected = SURROGATES[surrogate](scores[:, None] - scores[None, :], 1.0)
        torch.testing.assert_close(value(form, scores, scores), expected, rtol=1e-12, atol=2e-7)


@pytest.mark.parametrize(("surrogate", "power"), [("hinge", 1), ("squared_hinge", 2)])
def test_hinges_are_sorted_only_where_a_pair_can_pass_the_margin(surrogate, power):
    assert isinstance(surrogate_form(surrogate, margin=1.0, scale=1.0), BilinearForm)
    for options in ({"margin": 0.9}, {"scale": 1.1}, {"score_range": None}, {"score_range": (0, 1.01)}):
        form = surrogate_form(surrogate, **options)
        assert isinstance(form, SortedForm)
        assert form.power == power
        assert form.error_bound == 0


def test_wide_exponentials_are_summed_in_double():
    assert not surrogate_form("exp", scale=100).double
    assert surrogate_form("exp", scale=130).double
    assert surrogate_form("exp", score_range=None).double


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"surrogate": "cubic"}, "unknown surrogate 'cubic'; use one of 'square', 'hinge'.* or a function"),
        ({"surrogate": "square", "margin": 0}, "margin must be a positive number, got 0"),
        ({"surrogate": "square", "margin": float("nan")}, "margin must be a positive number, got nan"),
        ({"surrogate": "exp", "scale": -1.0}, "scale must be a positive number, got -1"),
        ({"surrogate": "logistic", "tolerance": 0.0}, "tolerance must be a positive number"),
        ({"surrogate": "exp", "margin": 2.0}, "'exp' has no margin .got 2.0.; .*use scale"),
        ({"surrogate": "logistic", "score_range": None}, "'logistic' needs bounded scores: .*score_range"),
        ({"surrogate": "square", "score_range": (1.0, 0.0)}, r"score_range must be .*\(1.0, 0.0\)"),
        ({"surrogate": torch.abs}, "use a smooth surrogate"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        surrogate_form(**options)
