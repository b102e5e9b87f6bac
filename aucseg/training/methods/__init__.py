"""The training methods by name: a new one is a file in this folder, its import and its line here."""

from __future__ import annotations

from aucseg.training.methods.base import LoaderFactory, Method, MethodConfig, MethodContext
from aucseg.training.methods.disalign import DisAlignConfig
from aucseg.training.methods.mean_teacher import MeanTeacherConfig
from aucseg.training.methods.supervised import SupervisedConfig

METHODS: dict[str, type[MethodConfig]] = {
    "supervised": SupervisedConfig,
    "disalign": DisAlignConfig,
    "mean_teacher": MeanTeacherConfig,
}
"""Sections of the key ``method`` by their ``name``."""

__all__ = ["METHODS", "LoaderFactory", "Method", "MethodConfig", "MethodContext"]
