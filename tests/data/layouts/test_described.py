"""Folders that say in ``aucseg.yaml`` where their files lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from aucseg.catalog import detect, open_dataset, resolve
from aucseg.data.layouts.described import LAYOUTS, by_patterns, check, described_by
from aucseg.data.layouts.description import FILE, Description, description_text
from aucseg.errors import DataError, OptionError
from tests.data.layouts.annotated import table
from tests.data.layouts.writers import label, picture, stripes


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Folders ``training`` and ``test``; validation is a part of the first."""
    for folder, number in (("training", 4), ("test", 2)):
        for i in range(number):
            picture(tmp_path / folder / "photos" / f"{i}.jpg", i)
            label(tmp_path / folder / "gt" / f"{i}_gt.png", stripes(i % 2, 2))
    table(tmp_path, "sky", "road", "car")
    (tmp_path / FILE).write_text(
        'layout: patterns\nimages: "{split}/photos/{name}.*"\nmasks: "{split}/gt/{name}_gt.png"\n'
        "splits:\n  train: training\n  val: training\n"
    )
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "train.txt").write_text("0\n1\n3\n")
    (tmp_path / "splits" / "val.txt").write_text("2\n")
    (tmp_path / "splits" / "test.txt").write_text("0\n1\n")
    return tmp_path


def test_splits_of_folders_and_lists(mine: Path) -> None:
    assert detect(mine) is None
    located = resolve(mine)
    assert located.splits == ("train", "val", "test")
    report = located.verify()
    assert report.ok, report.problems
    assert report.splits == {"train": 3, "val": 1, "test": 2}
    assert report.duplicates == [("train/0", "test/0"), ("train/1", "test/1")]  # drawn of the same seeds
    data = open_dataset(mine)
    images, masks = next(iter(DataLoader(data, batch_size=3)))
    assert images.shape == (3, 3, 12, 16)
    assert torch.equal(masks[2], torch.from_numpy(stripes(1, 2)))
    (mine / "splits" / "test.txt").unlink()
    assert resolve(mine).splits == ("train", "val")
    (mine / "splits" / "val.txt").unlink()
    assert len(open_dataset(mine, split="val")) == 4  # the folder's own


def test_counts_are_kept_like_those_of_the_own_layout(mine: Path) -> None:
    written = {path.name for path in resolve(mine).keep()}
    assert written == {"class_stats.csv", *(f"mask_counts_{s}.npz" for s in ("train", "val", "test"))}
    np.testing.assert_allclose(resolve(mine).spec.pixel_share, [1 / 6, 1 / 3, 1 / 2], atol=1e-4)


def test_a_description_is_read_as_it_is_written(tmp_path: Path) -> None:
    for layout, masks, options in (
        ("patterns", "{split}/é {name}: #.png", {}),
        ("coco", "annotations/{split}.json", {"overlap": "order", "crowd": "skip"}),
        ("per_class", "m/{class}/{name}.*", {"without_mask": "background"}),
        ("labelme", "{name}.json", {"without_area": "skip"}),
    ):
        description = Description(layout, "{split}/{name}.*", masks, {"train": "train", "val": "no"}, options)
        (tmp_path / FILE).write_text(description_text(description, "title: x"), encoding="utf-8")
        assert described_by(tmp_path) == description


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layout: [", "not YAML"),
        ("layout: coco\nlayout: patterns", "key 'layout' stands there twice, in lines 1 and 2"),
        ("layout: coco\nsplits: &a [*a]", "not a description: with its aliases"),
        ("- 1", "does not say layout, images and masks; `aucseg data init"),
        ("layout: patterns\nimages: '{name}.png'", "does not say layout, images and masks"),
        ("layout: pattern\nimages: '{name}.jpg'\nmasks: '{name}.png'", "'pattern'; did you mean 'patterns'"),
        ("layout: patterns\nimages: 'x.jpg'\nmasks: '{name}.png'", "with {name} once and, .* got 'x.jpg'"),
        ("layout: patterns\nimages: '{name}.jpg'\nmasks: '{class}/{name}.png'", "got '{class}/{name}.png'"),
        (
            "layout: coco\nimages: '{name}.jpg'\nmasks: '{name}.json'",
            "if need be, {split}, got '{name}.json'",
        ),
        ("layout: patterns\nimages: '{name}.png'\nmasks: './{name}.png'", "have the same pattern"),
        ("layout: patterns\nimages: '../{name}.png'\nmasks: '{name}.png'", "a relative path"),
        ("layout: patterns\nimages: '{name}.jpg'\nmasks: '{name}.png'\nsplits: [train]", "splits is "),
        (
            "layout: patterns\nimages: '{name}.jpg'\nmasks: '{name}.png'\noverlap: order",
            "layout 'patterns' has no 'overlap'",
        ),
        (
            "layout: coco\nimages: '{name}.jpg'\nmasks: 'a.json'\ncrowds: void",
            "layout 'coco' has no 'crowds'; did you mean 'crowd'",
        ),
        ("layout: coco\nimages: '{name}.jpg'\nmasks: 'a.json'\ncrowd: yes", "crowd is True; use one of void"),
    ],
)
def test_a_description_that_is_wrong(mine: Path, text: str, message: str) -> None:
    (mine / FILE).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        resolve(mine).open()
    assert caught.value.file == str(mine / FILE)


def test_patterns_tell_the_layout() -> None:
    """The same words on the command line as in the file."""
    for masks, layout in (
        ("gt/{name}.png", "patterns"),
        ("gt/{class}/{name}.png", "per_class"),
        ("{name}.json", "labelme"),
        ("{split}/all.JSON", "coco"),
    ):
        assert by_patterns("x/{name}.jpg", masks).layout == layout
    with pytest.raises(OptionError, match="have the same pattern"):
        check(Description("patterns", "a/{name}.png", "a//{name}.png"))


def test_every_layout_says_what_it_is() -> None:
    for name, kind in LAYOUTS.items():
        assert kind.title, name
        assert all(len(values) > 1 for values in kind.options.values())
