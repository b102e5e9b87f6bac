"""Getting public data sets: a download that goes on where it stopped, safe unpacking, every file checked."""

from aucseg.data.get.sources import SOURCES, Source, find_source, get, instructions

__all__ = ["SOURCES", "Source", "find_source", "get", "instructions"]
