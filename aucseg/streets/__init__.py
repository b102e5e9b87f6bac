"""Procedural streets: the data set of a fresh clone."""

from aucseg.errors import extra

with extra("train"):
    from aucseg.streets.dataset import GENERATOR_VERSION, MINIMUM_SIZE, WORLDS, SyntheticStreets
    from aucseg.streets.look import LOOKS, Look, Material, find_look

__all__ = [
    "GENERATOR_VERSION",
    "LOOKS",
    "MINIMUM_SIZE",
    "WORLDS",
    "Look",
    "Material",
    "SyntheticStreets",
    "find_look",
]
