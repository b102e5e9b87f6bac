"""Which runs make which table, the store of their records, and the comparison with the published numbers.

A name is imported when it is first asked for, as the status of ten thousand runs needs no network.
"""

from aucseg.errors import extra

with extra("train"):
    import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
