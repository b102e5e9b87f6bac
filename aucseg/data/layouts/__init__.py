"""The published data sets: where their files lie, and what the values of their masks mean.

=================  ==================================================================================
module             what
=================  ==================================================================================
``base``           a `Layout`: name, label set, terms, and four functions that find, list and decode
``cityscapes``     leftImg8bit and gtFine; ids to 19 train ids
``ade20k``         SceneParsing, 150 classes; 0 is void
``coco_stuff``     164K (PNG) and 10K (Matlab); 171 of COCO's 182 ids
``voc``            PASCAL VOC 2012; palette masks
``ccp``            Clothing Co-Parsing, 55 classes
``salient``        ECSSD, HKU-IS, PASCAL-S: background and what stands out
``patterns``       any other folder, by patterns of its file names
``palette``        VOC's colour table
``matlab``         label maps in Matlab files
``registry``       all of them by name, and which of them a folder holds
``opening``        `open_dataset`
=================  ==================================================================================

The package's own layout, into which ``aucseg data prepare`` turns any of these, is one floor up, in
``aucseg.data.layout`` and `aucseg.data.FolderDataset`; CamVid lies in it.
"""

from typing import TYPE_CHECKING

from aucseg.data.layouts.base import Access, Layout
from aucseg.data.layouts.patterns import pattern_layout
from aucseg.data.layouts.registry import detect, find_layout, list_datasets, locate, named_layout
from aucseg.data.listing import Item, Listing

if TYPE_CHECKING:
    from aucseg.data.layouts.opening import open_dataset

__all__ = [
    "Access",
    "Item",
    "Layout",
    "Listing",
    "detect",
    "find_layout",
    "list_datasets",
    "locate",
    "named_layout",
    "open_dataset",
    "pattern_layout",
]


def __getattr__(name: str) -> object:
    """Data sets want PyTorch, whose import takes seconds; whoever looks for files does not."""
    if name != "open_dataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from aucseg.data.layouts import opening

    return opening.open_dataset
