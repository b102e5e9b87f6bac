"""Classes that several data sets share: what each class of each is there, and a data set in those classes.

``LABEL_SETS`` is a plain dictionary. A run names one of them in ``data.classes``, for the labelled data of
one domain and for the images of another alike; for folders of one's own, rows of ``classes.csv`` with one
name do the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset
from torchvision import tv_tensors

from aucseg.data.labels import VOID
from aucseg.data.spec import ClassSpec, load_spec
from aucseg.errors import OptionError, did_you_mean


@dataclass(frozen=True)
class LabelSet:
    """Some classes of a published label set, and which of them the classes of other data sets are.

    Args:
        name: its name.
        title: the same in words.
        base: the published label set, see :func:`aucseg.data.load_spec`.
        classes: names of its classes that are kept, in their order.
        others: for the name of any other class the class that it is here; None for void.
    """

    name: str
    title: str
    base: str
    classes: tuple[str, ...]
    others: Mapping[str, str | None]

    @property
    def spec(self) -> ClassSpec:
        """The label set: colours, groups and shares are those of the base, pixels in shares of those kept."""
        base = load_spec(self.base)
        kept = [base.index(name) for name in self.classes]
        pixels = [base.pixel_share[k] for k in kept] if base.pixel_share else []
        return ClassSpec(
            name=self.name,
            names=self.classes,
            colors=tuple(base.colors[k] for k in kept),
            groups=tuple(base.groups[k] for k in kept),
            image_share=tuple(base.image_share[k] for k in kept) if base.image_share else (),
            pixel_share=tuple(p / sum(pixels) for p in pixels),
        )

    def table(self, spec: ClassSpec) -> np.ndarray:
        """Train id here of each train id of a data set, (256,) uint8; void stays void.

        Args:
            spec: the label set of the data set.

        Raises:
            OptionError: if it has a class of which this label set says nothing, or none that is here.
        """
        table = np.full(256, VOID, np.uint8)
        for train_id, name in enumerate(spec.names):
            here = name if name in self.classes else self.others.get(name, "")
            if here == "":
                known = [*self.classes, *self.others]
                raise OptionError(
                    f"label set {self.name!r} does not say what class {name!r} of {spec.name!r} is; "
                    f"{did_you_mean(name, known)}"
                )
            if here is not None:
                table[train_id] = self.classes.index(here)
        if (table == VOID).all():
            raise OptionError(f"{spec.name!r} has none of the classes of label set {self.name!r}")
        return table


_CAMVID = load_spec("camvid").names
_CITYSCAPES = load_spec("cityscapes").names

# The tags of CARLA with their classes of CamVid. Ground, Bridge, RailTrack and Water have none.
_CARLA: dict[str, str | None] = {
    "Pedestrian": "Pedestrian", "RoadLine": "Road", "SideWalk": "Pavement", "Vegetation": "Tree",
    "Vehicles": "Car", "Wall": "Building", "TrafficSign": "SignSymbol", "Ground": None, "Bridge": None,
    "RailTrack": None, "GuardRail": "Fence", "TrafficLight": "SignSymbol", "Water": None, "Terrain": "Tree",
}  # fmt: skip

# The classes of Cityscapes as CamVid's 32 are joined to 11: walls are buildings, every motor vehicle of four
# wheels and more is a car, who rides and what is ridden are a bicyclist.
_STREETS: dict[str, str | None] = {
    "road": "Road", "sidewalk": "Pavement", "building": "Building", "wall": "Building", "fence": "Fence",
    "pole": "Pole", "traffic light": "SignSymbol", "traffic sign": "SignSymbol", "vegetation": "Tree",
    "terrain": "Tree", "sky": "Sky", "person": "Pedestrian", "rider": "Bicyclist", "car": "Car",
    "truck": "Car", "bus": "Car", "train": "Car", "motorcycle": "Bicyclist", "bicycle": "Bicyclist",
}  # fmt: skip

_NOT_IN_SYNTHIA = ("terrain", "truck", "train")
_NOT_IN_13 = (*_NOT_IN_SYNTHIA, "wall", "fence", "pole")


def _without(names: Sequence[str], left_out: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in left_out)


LABEL_SETS: dict[str, LabelSet] = {
    known.name: known
    for known in (
        LabelSet(
            "camvid11", "CamVid's classes, also of Cityscapes and the streets", "camvid", _CAMVID, _STREETS
        ),
        LabelSet(
            "camvid10",
            "CamVid's classes that CARLA's frames have: all but the bicyclist",
            "camvid",
            _without(_CAMVID, ("Bicyclist",)),
            {"Bicyclist": None} | _CARLA,
        ),
        LabelSet(
            "synthia16",
            "Cityscapes' classes that SYNTHIA has",
            "cityscapes",
            _without(_CITYSCAPES, _NOT_IN_SYNTHIA),
            dict.fromkeys(_NOT_IN_SYNTHIA),
        ),
        LabelSet(
            "synthia13",
            "those of them that the shorter protocol counts",
            "cityscapes",
            _without(_CITYSCAPES, _NOT_IN_13),
            dict.fromkeys(_NOT_IN_13),
        ),
    )
}
"""Label sets of several data sets by name."""


def find_label_set(name: str) -> LabelSet:
    """A label set of several data sets by name.

    Args:
        name: its name in ``LABEL_SETS``.

    Raises:
        OptionError: for an unknown name, with the nearest known one.
    """
    if name not in LABEL_SETS:
        raise OptionError(f"unknown label set {name!r}; {did_you_mean(name, LABEL_SETS)}")
    return LABEL_SETS[name]


class RelabelledDataset(Dataset[Any]):
    """A data set whose masks hold the train ids of another label set.

    Args:
        dataset: any data set of this package.
        labels: the label set.

    Raises:
        OptionError: if the label set says nothing of one of its classes.
    """

    def __init__(self, dataset: Any, labels: LabelSet) -> None:
        self.dataset, self.labels = dataset, labels
        self._table = torch.from_numpy(labels.table(dataset.spec))
        self.spec: ClassSpec = labels.spec
        self.names: tuple[str, ...] = tuple(dataset.names)
        self.size: tuple[int, int] | None = dataset.size

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        """Item ``index``, an image and its mask."""
        image, mask = self.dataset[index]
        return image, self._relabelled(mask)

    def mask(self, index: int) -> tv_tensors.Mask:
        """The mask of an item alone; its image is neither opened nor drawn."""
        return self._relabelled(self.dataset.mask(index))

    def fingerprint(self) -> str:
        """Identity of the content: that of the data set, and what its classes have become."""
        content = [self.dataset.fingerprint(), list(self.spec.names), self._table.tolist()]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def _relabelled(self, mask: torch.Tensor) -> tv_tensors.Mask:
        return tv_tensors.Mask(self._table[mask.as_subclass(torch.Tensor).long()])
