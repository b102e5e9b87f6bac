"""The tail-class memory bank: keeps objects of rare classes and pastes them where they are missing."""

from aucseg.memory.bank import TailMemoryBank

__all__ = ["TailMemoryBank"]
