from __future__ import annotations

import pytest
import torch

from aucseg.functional.products import contract, lookup


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_products_keep_float32(precision):
    before = torch.get_float32_matmul_precision()
    a = torch.rand(5, 1000)
    onehot = (torch.arange(3)[:, None] == torch.randint(0, 3, (1000,))).float()
    table = torch.rand(7, 3)
    try:
        torch.set_float32_matmul_precision(precision)
        sums = contract(a, onehot, torch.float64)
        found = lookup(table, onehot)
    finally:
        torch.set_float32_matmul_precision(before)
    torch.testing.assert_close(sums, a.double() @ onehot.double().t(), rtol=1e-6, atol=0)
    torch.testing.assert_close(found, table[:, onehot.argmax(0)], rtol=1e-7, atol=0)


def test_long_sums_of_equal_numbers():
    """One float32 sum of 65,536 equal numbers is off in the fourth digit."""
    a, weights = torch.full((3, 2**16 + 77), 0.1), torch.ones(1, 2**16 + 77)
    total = contract(a, weights, torch.float64)
    exact = (2**16 + 77) * a[0, 0].double()
    torch.testing.assert_close(total, exact.expand(3, 1), rtol=1e-6, atol=0)
