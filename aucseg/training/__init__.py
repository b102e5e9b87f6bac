"""Configuration, Lightning module and data module, and ``train(config) -> Record``.

A name is imported when it is first asked for: Lightning and the networks take seconds, and whoever asks how
far runs are needs neither.
"""

from aucseg.errors import extra

with extra("train"):
    import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
