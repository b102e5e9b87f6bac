"""The anatomy of a long tail: one counter of masks, and what the papers derive from its tally.

- `tally`: what is counted, pixels and regions of each class in each image, or the sums alone
- `counter`: the one counter of masks, in threads or on a Dask cluster, going on where it was killed
- `run_lengths`: a label map as runs of equal labels; histogram and connected regions from them
- `statistics`: the published tallies of Cityscapes, ADE20K and COCO-Stuff
- `measures`: imbalance factors, r_m of AUCSeg Eq. 43, Lorenz curve and Gini index, correlation
- `tables`: AUCSeg Tables 5 to 11 and 17, Figure 5 of Region Rebalance, as tidy frames
- `partitions`: which classes are the tail, and why
- `odds`, `bank_size`, `bounds`: what a batch misses, what a bank takes, what the theorems say of a data set
"""

from aucseg.errors import extra

with extra("train"):
    import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
