from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import chebyshev

from aucseg.functional.chebyshev import chebyshev_expansion, derivative_matrix


def logistic(x):
    return torch.nn.functional.softplus(-x)


def plain_logistic(x):
    return torch.log1p(torch.exp(-x))


SMOOTH = {
    "logistic": logistic,
    "plain logistic": plain_logistic,
    "exp": lambda x: torch.exp(-x),
    "tanh": torch.tanh,
    "sharp softplus": lambda x: torch.nn.functional.softplus(1 - 2 * x) / 2,
    "cos": torch.cos,
}


def grid(span, points=100_001):
    return torch.linspace(-span, span, points, dtype=torch.float64)


def tolerance_of(function, span):
    """1e-7, or where values are huge what float64 can resolve."""
    return max(1e-7, 1e-11 * float(function(grid(span, 11)).abs().max()))


def vander(points, degree):
    return torch.from_numpy(chebyshev.chebvander(points.numpy(), degree))


@pytest.mark.parametrize("span", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("name", SMOOTH)
def test_error_is_within_the_bound(name, span):
    function, tolerance = SMOOTH[name], tolerance_of(SMOOTH[name], span)
    p = chebyshev_expansion(function, span, tolerance=tolerance, max_degree=400)
    x = grid(span)
    error = float((function(x) - p.evaluate(x)).abs().max())
    assert error <= p.error_bound <= tolerance
    assert p.error_bound <= 3 * error + 1e-11 * float(function(x).abs().max())  # honest, and not wasteful
    assert p.coefficients.shape == (p.degree + 1,)
    assert p.coefficients.dtype == torch.float64
    np.testing.assert_allclose(
        chebyshev.chebval(x.numpy() / span, p.coefficients.numpy()),
        p.evaluate(x),
        atol=1e-12 * p.coefficients.abs().sum().item(),
    )


@pytest.mark.parametrize("name", SMOOTH)
def test_degree_is_the_smallest(name):
    """One degree less, where it is not a coefficient of zero, misses the tolerance."""
    function, tolerance = SMOOTH[name], tolerance_of(SMOOTH[name], 5.0)
    p = chebyshev_expansion(function, 5.0, tolerance=tolerance)
    dropped = p.coefficients[-1].abs() + p.error_bound
    assert dropped > tolerance
    assert chebyshev_expansion(function, 5.0, tolerance=1.0001 * float(dropped)).degree < p.degree


def test_logistic_on_the_unit_interval_has_degree_eight():
    p = chebyshev_expansion(logistic, 1.0)
    assert p.degree == 8
    assert p.error_bound < 7e-9
    x = grid(1.0)
    assert float((logistic(x) - p.evaluate(x)).abs().max()) < 7e-9
    # log(1 + exp(-x)) = -x/2 + an even function
    assert p.coefficients[1].item() == pytest.approx(-0.5, abs=1e-15)
    assert p.coefficients[3::2].abs().max() < 1e-15


def test_degree_grows_with_the_span():
    degrees = [chebyshev_expansion(logistic, s, max_degree=256).degree for s in (0.1, 1, 5, 20)]
    assert degrees == sorted(degrees)
    assert len(set(degrees)) == 4


@pytest.mark.parametrize("span", [1.0, 5.0])
def test_coefficients_of_the_logistic_fall_as_its_poles_say(span):
    """The singularities of log(1 + exp(-x)) next to the interval are at plus and minus i pi.

    On the Bernstein ellipse of sum rho below that of i pi / span, with maximum m, the k-th coefficient is at
    most 2 m / rho^k.
    """
    p = chebyshev_expansion(plain_logistic, span, tolerance=1e-12)
    height = 0.999 * math.pi / span
    rho = height + math.sqrt(1 + height**2)
    z = rho * np.exp(1j * np.linspace(0, 2 * np.pi, 4001))
    largest = np.abs(np.log1p(np.exp(-span * (z + 1 / z) / 2))).max()
    bound = 2 * largest * rho ** -np.arange(p.degree + 1.0)
    assert (p.coefficients.abs().numpy() <= bound).all()
    assert p.degree <= math.log(2 * largest / (rho - 1) / 1e-12) / math.log(rho) + 1


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(sorted(SMOOTH)), span=st.floats(0.01, 25.0), power=st.integers(2, 9), data=st.data()
)
def test_bound_and_products_at_any_span(name, span, power, data):
    function = SMOOTH[name]
    tolerance = max(10.0**-power, tolerance_of(function, span))
    p = chebyshev_expansion(function, span, tolerance=tolerance, max_degree=400)
    x = grid(span, 2001)
    assert float((function(x) - p.evaluate(x)).abs().max()) <= p.error_bound <= tolerance
    seed = data.draw(st.integers(0, 2**31))
    low, width, scale = data.draw(st.sampled_from(((0.0, 1.0, span), (-3.0, 10.0, span / 10))))
    u, v = torch.rand(2, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    matrix = p.product_matrix()
    products = ((vander(2 * u - 1, p.degree) @ matrix) * vander(2 * v - 1, p.degree)).sum(1)
    size = float(p.coefficients.abs().sum())
    difference = scale * ((low + width * u) - (low + width * v))
    torch.testing.assert_close(products, p.evaluate(difference), rtol=0, atol=1e-12 * max(size, 1))
    error = float((products - function(difference)).abs().max())
    assert error <= p.error_bound + 1e-12 * max(size, 1)


@pytest.mark.parametrize("span", [1.0, 5.0, 20.0])
def test_product_matrix_of_the_logistic(span):
    """To 1e-12, at scores where rounding would show first as well: the ends."""
    p = chebyshev_expansion(logistic, span, max_degree=128)
    matrix = p.product_matrix()
    points = torch.cat((torch.tensor([-1.0, 1.0, 0.0]), torch.linspace(-0.97, 0.93, 201))).double()
    table = vander(points, p.degree) @ matrix @ vander(points, p.degree).t()
    x = span * (points[:, None] - points) / 2
    torch.testing.assert_close(table, p.evaluate(x), rtol=0, atol=1e-12)
    assert float((table - logistic(x)).abs().max()) <= p.error_bound + 1e-12
    order = torch.arange(p.degree + 1)
    total = order[:, None] + order
    assert (matrix[total > p.degree] == 0).all()
    torch.testing.assert_close(matrix.t() * (-1.0) ** total, matrix, rtol=0, atol=1e-13)


def test_polynomials_are_found_exactly():
    square = chebyshev_expansion(lambda x: (1 - x) ** 2, 2.0)
    assert square.degree == 2
    assert square.error_bound < 1e-11
    # (1 - 2 t)^2 = 1 - 4 t + 4 t^2 = 3 T_0 - 4 T_1 + 2 T_2
    torch.testing.assert_close(square.coefficients, torch.tensor([3.0, -4.0, 2.0], dtype=torch.float64))
    # with u - v in place of 2 t: 1 - 2 (u - v) + u^2 - 2 u v + v^2, u^2 = (T_0 + T_2) / 2
    expected = torch.tensor([[2.0, 2.0, 0.5], [-2.0, -2.0, 0.0], [0.5, 0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(square.product_matrix(), expected)
    assert chebyshev_expansion(lambda x: 0 * x + 3, 1.0).degree == 0
    assert chebyshev_expansion(lambda x: 0 * x, 1.0).error_bound == 0
    # a hinge that is never reached is a straight line
    assert chebyshev_expansion(lambda x: (1 - x).clamp(min=0), 1.0).degree == 1


def test_evaluation_is_differentiable_and_keeps_the_dtype():
    p = chebyshev_expansion(logistic, 2.0)
    x = torch.linspace(-2, 2, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(p.evaluate, x)
    assert p.evaluate(torch.zeros(2, 3)).dtype == torch.float32


@pytest.mark.parametrize("degree", [0, 1, 2, 5, 40])
def test_derivative_matrix_equals_numpy(degree):
    series = np.random.default_rng(degree).normal(size=degree + 1)
    expected = np.zeros(degree + 1)
    derivative = chebyshev.chebder(series)
    expected[: len(derivative)] = derivative
    matrix = derivative_matrix(degree)
    assert matrix.dtype == torch.float64
    np.testing.assert_allclose(matrix.numpy() @ series, expected, rtol=1e-12, atol=1e-12)


def test_derivative_matrix_differentiates_a_surrogate():
    p = chebyshev_expansion(plain_logistic, 3.0, tolerance=1e-10)
    x = grid(3.0, 101)
    slope = vander(x / 3, p.degree) @ (derivative_matrix(p.degree) @ p.coefficients) / 3
    torch.testing.assert_close(slope, -torch.sigmoid(-x), rtol=0, atol=1e-7)


ROUGH = {
    "kink": (torch.abs, 1.0),
    "hinge": (lambda x: (0.3 - x).clamp(min=0), 1.0),
    "jump": (lambda x: (x > 0.1).double(), 1.0),
    "root": (lambda x: (1 + x).clamp(min=0).sqrt(), 1.0),
    "peak": (lambda x: 1 / (1e-6 + (x - 0.371) ** 2), 1.0),
}


@pytest.mark.parametrize("name", ROUGH)
def test_rough_functions_are_refused(name):
    function, span = ROUGH[name]
    with pytest.raises(
        ValueError, match=r"degree up to 64 .* raise tolerance to .*smooth surrogate .*'hinge'"
    ):
        chebyshev_expansion(function, span)


def test_the_remedy_in_the_message_works():
    with pytest.raises(ValueError, match=r"below 0\.01, the tolerance is 1e-07; raise tolerance to 0\.011"):
        chebyshev_expansion(torch.abs, 1.0)
    p = chebyshev_expansion(torch.abs, 1.0, tolerance=0.011)
    assert float((grid(1.0).abs() - p.evaluate(grid(1.0))).abs().max()) <= p.error_bound <= 0.011
    with pytest.raises(ValueError, match=r"values reach 20, .* raise max_degree to 90"):
        chebyshev_expansion(logistic, 20.0)
    assert chebyshev_expansion(logistic, 20.0, max_degree=90).degree == 90
    with pytest.raises(ValueError, match=r"values reach 4\.9e\+08"):  # rounding alone
        chebyshev_expansion(lambda x: torch.exp(-x), 20.0)


def test_a_function_that_is_not_elementwise_shows_between_the_samples():
    with pytest.raises(ValueError, match=r"between 32769 samples .* smooth and elementwise"):
        chebyshev_expansion(lambda x: x / x.std(), 1.0)


def test_what_the_function_returns_is_checked():
    with pytest.raises(TypeError, match=r"must return a torch.Tensor, got float"):
        chebyshev_expansion(lambda x: 1.0, 1.0)
    with pytest.raises(TypeError, match=r"float64 for a float64 tensor, got torch.float32"):
        chebyshev_expansion(lambda x: x.float(), 1.0)
    with pytest.raises(ValueError, match=r"elementwise: for a tensor of shape \(\d+,\) it returned \(\)"):
        chebyshev_expansion(lambda x: x.sum(), 1.0)
    with pytest.raises(
        ValueError, match=r"finite on \[-1000, 1000\], got inf at x = -1000; write it in a stable"
    ):
        chebyshev_expansion(plain_logistic, 1000.0)
    with pytest.raises(ValueError, match="got nan at x = -1"):
        chebyshev_expansion(torch.sqrt, 1.0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_options_are_checked(value):
    with pytest.raises(ValueError, match="span must be a positive number"):
        chebyshev_expansion(logistic, value)
    with pytest.raises(ValueError, match="tolerance must be a positive number"):
        chebyshev_expansion(logistic, 1.0, tolerance=value)
    for degree in (0, 2000, 3.0, True):
        with pytest.raises(ValueError, match="max_degree must be an int from 1 to 1024"):
            chebyshev_expansion(logistic, 1.0, max_degree=degree)
    with pytest.raises(ValueError, match="degree must not be negative, got -1"):
        derivative_matrix(-1)


def test_the_function_may_write_in_place_and_have_parameters():
    weight = torch.tensor(-1.0, dtype=torch.float64, requires_grad=True)
    p = chebyshev_expansion(lambda x: x.mul_(weight).exp_(), 1.0)
    assert not p.coefficients.requires_grad
    assert float((torch.exp(-grid(1.0)) - p.evaluate(grid(1.0))).abs().max()) <= p.error_bound
