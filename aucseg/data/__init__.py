"""Class specifications, data sets, transforms, and the seeded stream of batches.

A name is imported when it is first asked for: PyTorch and torchvision take seconds, and whoever lists, checks
or counts data sets needs neither.
"""

from aucseg.errors import extra

with extra("train"):
    import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
