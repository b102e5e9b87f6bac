"""What the tests of the figures share."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    """Figures that a test leaves open would add up until matplotlib warns."""
    yield
    plt.close("all")
