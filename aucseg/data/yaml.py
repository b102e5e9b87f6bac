"""YAML as configurations are written in it: every key once, numbers as everybody writes them, no bombs."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Hashable
from typing import Any

import yaml

from aucseg.errors import DataError, UserError

MOST_BYTES = 2**20
"""Of a document: a configuration has some thousand, and the parser takes a second for a hundred thousand."""

# A configuration has some hundred values. Aliases of aliases make millions of a few lines.
_MOST_VALUES = 10_000


class _Loader(yaml.SafeLoader):
    """The safe loader, to which a key that stands there twice is an error and ``1e-3`` a number."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping, each of whose keys stands there once."""
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise DataError(f"the key in line {line} is no word", remedy="write it as key: value")
            if key.value in lines:
                both = f"{lines[key.value]} and {line}"
                raise DataError(
                    f"key {reprlib.repr(key.value)} stands there twice, in lines {both}",
                    remedy="keep one of the two",
                )
            lines[key.value] = line
        return super().construct_mapping(node, deep=deep)


# YAML 1.1 wants a point and a sign in a number with an exponent, YAML 1.2 and its readers do not.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


def read_yaml(text: str | bytes, *, kind: type[UserError] = DataError, what: str = "configuration") -> Any:
    """Plain values from a YAML document.

    Args:
        text: the document; as bytes, in UTF-8 or, with a byte order mark, in UTF-16.
        kind: class of the errors.
        what: the document should be, for the message.

    Raises:
        UserError: of that kind, for a document of more than a mebibyte, what is no YAML, a key that stands
            there twice, an alias within itself, or aliases that make far more values than there can be.

    Example:
        >>> read_yaml("optim: {lr: 1e-3}")
        {'optim': {'lr': 0.001}}
    """
    if len(text) > MOST_BYTES:
        raise kind(f"not a {what}: it is longer than {MOST_BYTES:,} bytes")
    try:
        content = yaml.load(text, _Loader)
    except UserError as error:
        raise kind(error.what, remedy=error.remedy) from None
    # of dates that are none, as 2024-99-99, PyYAML says ValueError
    except (yaml.YAMLError, ValueError) as error:
        raise kind(f"not YAML: {_cut(' '.join(str(error).split()))}") from error
    except RecursionError as error:
        raise kind(f"not a {what}: its values are nested too deeply") from error
    if _count(content, {}) > _MOST_VALUES:
        raise kind(
            f"not a {what}: with its aliases it has more than {_MOST_VALUES} values",
            remedy="write them out",
        )
    return content


def _cut(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:300]} ..."


def _count(value: Any, known: dict[int, int]) -> int:
    """How many values there are, each alias counted as often as it is used; infinitely many in a circle."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_VALUES + 1  # for whoever comes back to it before it is counted
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_count(each, known) for each in inside)
    return known[id(value)]
