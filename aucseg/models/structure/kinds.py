"""What a module is, in a few words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from torch import nn

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def describe(module: nn.Module) -> str:
    """What a module is, in a few words: its layers if it is layers in a row, else its class.

    >>> describe(nn.Sequential(nn.Conv2d(8, 16, 3), nn.BatchNorm2d(16), nn.ReLU()))
    '3×3 convolution'
    >>> describe(nn.MultiheadAttention(8, 2))
    'multihead attention'
    """
    return ", ".join(_times(len(list(same)), word) for word, same in groupby(_words(module)))


def describe_all(modules: Sequence[nn.Module]) -> str:
    """What modules one after the other are: :func:`describe` of those with most of the parameters.

    Args:
        modules: at least one.
    """
    sizes: dict[str, int] = {}
    words: dict[str, int] = {}
    for module in modules:
        word = describe(module)
        words[word] = words.get(word, 0) + 1
        sizes[word] = sizes.get(word, 0) + sum(p.numel() for p in module.parameters())
    most = max(sizes.values())
    return ", ".join(_times(count, word) for word, count in words.items() if 4 * sizes[word] >= most and word)


def _times(count: int, word: str) -> str:
    if count == 1:
        return word
    return f"{count} × ({word})" if word[0].isdigit() else f"{count} × {word}"


def _words(module: nn.Module) -> list[str]:
    if isinstance(module, nn.Sequential):
        telling = [child for child in module if _tells(child)] or list(module)[:1]
        return [word for child in telling for word in _words(child)]
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        size = "×".join(map(str, module.kernel_size))
        depthwise = "depthwise " if 1 < module.groups == module.in_channels else ""
        dilation = f" (dilation {module.dilation[0]})" if max(module.dilation) > 1 else ""
        return [f"{size} {depthwise}convolution{dilation}"]
    if isinstance(module, nn.AdaptiveAvgPool2d):
        bins = module.output_size
        return ["mean" if bins in (1, (1, 1)) else f"mean in {bins} × {bins} bins"]
    if isinstance(module, nn.AvgPool2d | nn.MaxPool2d):
        return ["average pool" if isinstance(module, nn.AvgPool2d) else "max pool"]
    if isinstance(module, nn.Linear):
        return ["linear layer"]
    return [_spaced(type(module).__name__)]


def _tells(module: nn.Module) -> bool:
    """Whether a layer says what a row of layers does: one with weights that is no norm, or one that pools."""
    pools = isinstance(module, nn.AdaptiveAvgPool2d | nn.AvgPool2d | nn.MaxPool2d)
    return pools or (any(True for _ in module.parameters()) and not isinstance(module, _NORMS))


def _spaced(name: str) -> str:
    """A name in camel case as words; as it is where it is no words, as in ``ConvNeXtBlock``."""
    pieces = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]{2,}(?=[A-Z])|[A-Z]|\d+d?", name)
    if any(len(piece) < 3 and not piece[0].isdigit() for piece in pieces):
        return name
    return " ".join(piece if piece.isupper() else piece.lower() for piece in pieces)
