"""Pixel-level AUC optimisation and long-tail tools for semantic segmentation.

The two lines most people come for:

>>> from aucseg.losses import AUCLoss
>>> from aucseg.memory import TailMemoryBank
"""

__version__ = "0.1.0"
