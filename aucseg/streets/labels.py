"""Train ids of the Cityscapes classes that the painters write."""

from __future__ import annotations

ROAD, SIDEWALK, BUILDING, WALL, FENCE, POLE, SIGNAL, SIGN, VEGETATION, TERRAIN = range(10)
SKY, PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = range(10, 19)
VOID = 255
CLASSES = 19
