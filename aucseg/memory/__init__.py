"""The tail-class memory bank: keeps objects of rare classes and pastes them where they are missing."""

from aucseg.memory.bank import TailMemoryBank
from aucseg.memory.policies import (
    FIFO,
    LIFO,
    POLICIES,
    PriorityUsed,
    RandomReplacement,
    ReplacementPolicy,
    Slot,
)
from aucseg.memory.variants import CopyPaste, FixedPixelBank, PixelMemoryBank

__all__ = [
    "FIFO",
    "LIFO",
    "POLICIES",
    "CopyPaste",
    "FixedPixelBank",
    "PixelMemoryBank",
    "PriorityUsed",
    "RandomReplacement",
    "ReplacementPolicy",
    "Slot",
    "TailMemoryBank",
]
