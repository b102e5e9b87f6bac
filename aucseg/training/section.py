"""What a section of a configuration is, how one of several is chosen by name, and how a wrong one is told."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError, PydanticUndefined

from aucseg.errors import UserError, did_you_mean

Size = tuple[int, int]


class ConfigError(UserError, ValueError):
    """A configuration that cannot be run; the message names the key and the remedy."""


class Section(BaseModel):
    """Keys that are checked and then never change.

    An unknown key is an error, and so is a number that is infinite or none; NumPy's numbers and arrays count
    as Python's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    #: Keys that hold one of several sections, by their ``name``.
    choices: ClassVar[Mapping[str, Choice]] = {}
    #: Keys that may differ between two machines without making another run.
    not_identity: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _without_numpy(cls, content: Any) -> Any:
        return _plain(content)


S = TypeVar("S", bound=Section)


class Choice(NamedTuple):
    """A key that holds one of several sections.

    The table is looked at when a configuration is read and not when this class is made: what is added to it
    later, in a notebook too, can be configured at once.

    Attributes:
        table: the sections by name; each has its key as the default of its field ``name``.
        default: the name of a section that says none.
    """

    table: Mapping[str, type[Section]]
    default: str

    def section(self, content: Any) -> type[Section] | None:
        """The kind of section that some plain values name; ``None`` if they name none that exists."""
        return self.table.get(content.get("name", self.default)) if isinstance(content, Mapping) else None

    def defaults(self, name: str) -> dict[str, Any]:
        """The keys of a section at their defaults, ``None`` where there is none; of no section, its name."""
        fields = self.table[name].model_fields.items() if name in self.table else ()
        values = {key: field.get_default(call_default_factory=True) for key, field in fields}
        return {key: None if value is PydanticUndefined else value for key, value in values.items()} | {
            "name": name
        }

    def pick(self, value: Any, info: ValidationInfo) -> Any:
        """What pydantic calls to make the section of plain values, or to check one that is made."""
        if isinstance(value, tuple(self.table.values())):
            return value
        if not isinstance(value, Mapping):
            raise ValueError("give a mapping of keys to values")
        kind = self.section(value)
        if kind is None:
            name = value["name"]
            known = did_you_mean(shown(name) if not isinstance(name, str) else name, self.table)
            raise ValidationError.from_exception_data(
                "name",
                [
                    {
                        "type": PydanticCustomError(
                            "unknown_name", "no such name; {known}", {"known": known}
                        ),
                        "loc": ("name",),
                        "input": name,
                    }
                ],
            )
        return kind.model_validate(value, context=info.context)


def map_sections(section: S, change: Callable[[Section], Section]) -> S:
    """A section with every section in it, and itself, changed; nothing is checked again.

    Args:
        section: the outermost.
        change: gives for a section the same or another of its kind.
    """
    sections = {key: value for key, value in vars(section).items() if isinstance(value, Section)}
    inside = {key: map_sections(value, change) for key, value in sections.items()}
    same = all(inside[key] is value for key, value in sections.items())
    changed = change(section if same else section.model_copy(update=inside))
    assert isinstance(changed, type(section))
    return changed


def portable(section: Section) -> Section:
    """A section whose ``not_identity`` keys are at their defaults."""
    if not section.not_identity:
        return section
    fields = type(section).model_fields
    return section.model_copy(update={key: fields[key].default for key in section.not_identity})


_ALREADY = frozenset((str, int, float, bool, type(None)))


def _plain(value: Any) -> Any:
    """The same with numbers and lists of Python in the place of NumPy's."""
    if type(value) in _ALREADY:  # nearly all there is, and a catalogue has a million of them
        return value
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {_plain(key): _plain(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    return value


def shown(value: Any) -> str:
    """What was found, for a message: as it is written, cut off where it is long.

    Args:
        value: plain values, nested as they may be.
    """
    text = _SHORT.repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_LONGEST = 160  # characters
_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother, _SHORT.maxlong = 3, 80, 80, 40


def explain(error: ValidationError, model: type[Section], content: Any) -> list[str]:
    """What is wrong with a configuration, a line for each finding: key, value, remedy.

    Args:
        error: what pydantic found.
        model: the configuration's class.
        content: the plain values that were not valid.
    """
    found: dict[tuple[int | str, ...], list[Any]] = {}
    for item in error.errors():
        found.setdefault(_key_of(item, content), []).append(item)
    return [_explain(key, items, model, content) for key, items in found.items()]


def _key_of(item: Any, content: Any) -> tuple[int | str, ...]:
    """The key that a finding is about: as far as its place can be followed in the content.

    Where several types are allowed pydantic reports what each has against the value, under the name of the
    type: together they are one finding.
    """
    place = item["loc"]
    for number, part in enumerate(place):
        inside = isinstance(content, Mapping) and part in content
        if isinstance(content, list | tuple) and isinstance(part, int):
            inside = part < len(content)
        if not inside:  # a key that is wrong or not there, or the name of a type
            lacks = item["type"] in ("missing", "extra_forbidden") and number == len(place) - 1
            return tuple(place[: number + lacks])
        content = content[part]
    return tuple(place)


def _explain(key: tuple[int | str, ...], items: list[Any], model: type[Section], content: Any) -> str:
    where, item = ".".join(str(part) for part in key), items[0]
    if item["type"] == "extra_forbidden":
        return f"unknown key {where!r}; {did_you_mean(str(key[-1]), _fields_at(key[:-1], model, content))}"
    if item["type"] == "missing":
        return f"key {where!r} is missing"
    told = [i["msg"].removeprefix("Value error, ").removeprefix("Input should be ") for i in items]
    wanted = item["msg"].startswith("Input should be ")
    words = ("should be " if wanted else "") + ", or ".join(dict.fromkeys(told))
    value = _at(content, key) if len(items) > 1 else item["input"]
    got = "" if isinstance(value, dict) else f" (got {shown(value)})"
    return f"{where or 'run'}: {words}{got}"


def _at(content: Any, key: Iterable[int | str]) -> Any:
    for part in key:
        content = content[part]
    return content


def _fields_at(path: tuple[int | str, ...], model: type[BaseModel], content: Any) -> list[str]:
    for part in map(str, path):
        content = content.get(part) if isinstance(content, Mapping) else None
        choice = model.choices.get(part) if issubclass(model, Section) else None
        if choice is not None:
            nested: list[Any] = [choice.section(content)]
        else:
            annotation = model.model_fields[part].annotation
            nested = [annotation, *get_args(annotation)]
        nested = [kind for kind in nested if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)
