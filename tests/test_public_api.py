"""The public interface, frozen: a change here is a change for users and belongs into the changelog.

After an intended change write the snapshot anew: ``python -m tests.test_public_api``.
"""

from __future__ import annotations

import inspect
import json
import re

import pytest

from tests.repository import PUBLIC, ROOT, public_modules, public_objects

SNAPSHOT = ROOT / "tests" / "public_api.json"


def surface() -> dict[str, str]:
    """Dotted name of each public object with its parameters, annotations left out."""
    found = {}
    for name, thing in public_objects():
        if inspect.isclass(thing) and issubclass(thing, Exception):
            found[name] = "exception"
            continue
        signature = inspect.signature(thing)  # type: ignore[arg-type]
        bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
        found[name] = re.sub(r" at 0x[0-9a-f]+", "", str(inspect.Signature(bare)))
    for module in public_modules():
        for name in module.__all__:
            found.setdefault(f"{module.__name__}.{name}", "value")
    return dict(sorted(found.items()))


@pytest.mark.parametrize("module", list(public_modules()), ids=PUBLIC)
def test_all_is_complete_and_sorted(module: object) -> None:
    names = module.__all__  # type: ignore[attr-defined]
    assert len(set(names)) == len(names)
    assert all(hasattr(module, name) for name in names)
    assert inspect.getdoc(module), "a public package says in a line what it holds"


def test_public_api_is_the_recorded_one() -> None:
    recorded = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    now = surface()
    remedy = "if this is meant, note it in CHANGELOG.md and run: python -m tests.test_public_api"
    assert sorted(now) == sorted(recorded), remedy
    changed = {name: (recorded[name], now[name]) for name in now if now[name] != recorded[name]}
    assert not changed, f"{remedy}\n{changed}"


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(surface(), indent=1) + "\n", encoding="utf-8")
