"""What a file of a configuration may hold, and what is refused in one line."""

from __future__ import annotations

from itertools import pairwise

import pytest

from aucseg.data.yaml import MOST_BYTES, read_yaml
from aucseg.errors import DataError
from aucseg.training import ConfigError, RunConfig

LETTERS = "abcdefghi"
BOMB = "\n".join(
    ["a: &a [x, x, x, x, x, x, x, x, x]"]
    + [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise(LETTERS)]
)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("x: 1e-3", {"x": 0.001}),
        ("x: [1.5e3, -2E+3, .5e1, 7]", {"x": [1500.0, -2000.0, 5.0, 7]}),
        ("x: 1e3x", {"x": "1e3x"}),
        ("a: &a {b: 1}\nc: {<<: *a, d: 2}", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: &a {b: 1}\nc: {<<: *a, b: 2}", {"a": {"b": 1}, "c": {"b": 2}}),
        ("a: ä".encode("utf-16"), {"a": "ä"}),
        ("a: ä".encode("utf-8-sig"), {"a": "ä"}),
        ("", None),
    ],
)
def test_what_is_read(text, content):
    assert read_yaml(text) == content


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: 2\na: 3", "key 'a' stands there twice, in lines 1 and 3; keep one"),
        ("a: {b: 1, b: 1}", "key 'b' stands there twice"),
        ("'a': 1\na: 2", "key 'a' stands there twice"),
        ("? [1, 2]\n: 3", "the key in line 1 is no word"),
        ("a: [1,", "not YAML"),
        (b"a: \xff", "not YAML"),
        ("a: !!python/object/apply:os.system [ls]", "not YAML"),
        ("&a [*a]", "more than 10000 values"),
        ("&a {b: *a}", "more than 10000 values"),
        (BOMB, "more than 10000 values"),
        ("[" * 3000, "nested too deeply"),
        ("a: 2024-99-99", "not YAML: month must be in 1..12"),
        ("a: " + "a" * MOST_BYTES, "longer than 1,048,576 bytes"),
        ("a: !!binary " + "é" * 9, "not YAML"),
        ("&" + "a" * 1000 + " [", "not YAML"),
    ],
)
@pytest.mark.parametrize("kind", [ConfigError, DataError])
def test_what_is_refused(text, words, kind):
    with pytest.raises(kind) as error:
        read_yaml(text, kind=kind)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_a_file_that_is_no_configuration_is_not_read_to_its_end(tmp_path):
    """PyYAML looks at a scalar of 300 MB for minutes."""
    file = tmp_path / "run.yaml"
    with file.open("wb") as sparse:
        sparse.write(b"note: ")
        sparse.truncate(300_000_000)
    with pytest.raises(ConfigError, match=r"run\.yaml: is longer than 1,048,576 bytes, as no conf"):
        RunConfig.from_yaml(file)
