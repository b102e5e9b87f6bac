"""Procedural streets: the data set of a fresh clone."""

from aucseg.errors import extra

with extra("train"):
    from aucseg.streets.dataset import GENERATOR_VERSION, MINIMUM_SIZE, WORLDS, SyntheticStreets

__all__ = ["GENERATOR_VERSION", "MINIMUM_SIZE", "WORLDS", "SyntheticStreets"]
