"""What a section of a configuration is, how one of several is chosen by name, and how a wrong one is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError, PydanticUndefined

from aucseg.errors import UserError, did_you_mean

Size = tuple[int, int]


class ConfigError(UserError, ValueError):
    """A configuration that cannot be run; the message names the key and the remedy."""


class Section(BaseModel):
    """Keys that are checked and then never change; an unknown one is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    #: Keys that hold one of several sections, by their ``name``.
    choices: ClassVar[Mapping[str, Choice]] = {}
    #: Keys that may differ between two machines without making another run.
    not_identity: ClassVar[tuple[str, ...]] = ()


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
            known = did_you_mean(str(name), self.table)
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
    inside = {key: map_sections(value, change) for key, value in section if isinstance(value, Section)}
    changed = change(section.model_copy(update=inside))
    assert isinstance(changed, type(section))
    return changed


def portable(section: Section) -> Section:
    """A section whose ``not_identity`` keys are at their defaults."""
    fields = type(section).model_fields
    return section.model_copy(update={key: fields[key].default for key in section.not_identity})


def explain(error: ValidationError, model: type[Section], content: Any) -> list[str]:
    """What is wrong with a configuration, a line for each finding: key, value, remedy.

    Args:
        error: what pydantic found.
        model: the configuration's class.
        content: the plain values that were not valid.
    """
    return [_explain(item, model, content) for item in error.errors()]


def _explain(item: Any, model: type[Section], content: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        fields = _fields_at(item["loc"][:-1], model, content)
        return f"unknown key {where!r}; {did_you_mean(str(item['loc'][-1]), fields)}"
    if item["type"] == "missing":
        return f"key {where!r} is missing"
    got = "" if isinstance(item["input"], dict) else f" (got {item['input']!r})"
    return f"{where or 'run'}: {item['msg'].removeprefix('Value error, ')}{got}"


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
