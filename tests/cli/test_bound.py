"""``aucseg bound`` and ``aucseg gap`` as a user calls them."""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from aucseg.cli.printing import print_fits
from aucseg.data.files import read_rows
from aucseg.theory import (
    GapDesign,
    GapRow,
    exact_batch_size,
    fit_gaps,
    generalization_bound,
    imbalance,
    measure_gaps,
)


@pytest.fixture
def folder(tmp_path):
    """Twelve masks of three classes, one of them in two images, and a fourth class in none."""
    rng = np.random.default_rng(0)
    for name in ("annotations/train", "images/train", "splits"):
        (tmp_path / name).mkdir(parents=True)
    masks = rng.integers(0, 2, (12, 8, 10)).astype(np.uint8)
    masks[3, :4], masks[7, 0, 0], masks[5, 0] = 2, 2, 255
    for i, mask in enumerate(masks):
        Image.fromarray(mask).save(tmp_path / "annotations" / "train" / f"i{i}.png")
    (tmp_path / "splits" / "train.txt").write_text("".join(f"i{i}\n" for i in range(12)))
    names = "id,name,r,g,b,ignore\n" + "".join(f"{i},{name},0,0,{i},0\n" for i, name in enumerate("abcd"))
    (tmp_path / "classes.csv").write_text(names)
    return tmp_path, masks


def test_named_statistics_as_json(run) -> None:
    code, out, err = run("bound", "cityscapes", "--json", "--crop", 1024, 1024)
    assert code == 0, err
    content = json.loads(out)
    assert content["batch_sizes"]["exact"] == 93
    assert content["batch_sizes"]["exact_with_replacement"] == 95
    assert content["batch_sizes"]["with_replacement"]["sufficient"] == 155
    assert content["batch_sizes"]["crops"]["necessary"] > 95
    assert content["tau"]["class"] == "train"
    assert content["tau"]["low"] < content["tau"]["high"]
    assert [row["variant"] for row in content["bound"]] == ["printed"] * 2 + ["corrected"] * 2
    assert content["bound"][0]["below_one_from"] is None
    terms = generalization_bound(2975, content["tau"]["low"], 19, 0.01, pixels=1024 * 2048)
    assert content["bound"][2]["total"] == pytest.approx(float(terms.total))


def test_named_statistics_as_tables(run) -> None:
    for name in ("ade20k", "coco_stuff"):
        code, out, err = run("bound", name, "--delta", 0.05, "--pixels", 10**8)
        assert code == 0, err
        assert "Proposition 1" in out
        assert "never" in out
        # nothing is cut off at 80 columns
        assert "…" not in out
        assert "discretisation" in out
        assert max(map(len, out.splitlines())) <= 80


def test_folder_of_masks(run, folder) -> None:
    root, masks = folder
    code, out, err = run("bound", root, "--json", "--crop", 3, 3, "--delta", 0.2)
    assert code == 0, err
    content = json.loads(out)
    counts = np.array([np.bincount(mask.ravel(), minlength=256)[:3] for mask in masks])
    assert content["absent"] == ["d"]
    assert content["classes"] == 3
    assert content["tau"]["low"] == content["tau"]["high"] == pytest.approx(imbalance(counts).tau)
    assert content["constants"]["pixels"] == 80
    assert content["batch_sizes"]["exact"] == exact_batch_size(counts > 0, 0.2)
    windows = np.lib.stride_tricks.sliding_window_view(masks, (3, 3), (1, 2))
    rarest = (windows == 2).any((3, 4)).mean()
    assert content["batch_sizes"]["crops"]["min_probability"] == pytest.approx(rarest)
    code, out, err = run("bound", root)
    assert "left out, in no image: d" in out


def test_folder_with_statistics_only(run, folder) -> None:
    root, _ = folder
    assert run("data", "stats", root, "--write", "--json")[0] == 0
    counted = json.loads(run("bound", root, "--json")[1])
    for path in (root / "annotations" / "train").iterdir():
        path.unlink()
    (root / "annotations" / "train").rmdir()
    code, out, err = run("bound", root, "--json")
    assert code == 0, err
    content = json.loads(out)
    assert content["origin"] == "class_stats.csv"
    assert content["tau"]["low"] <= counted["tau"]["low"] <= content["tau"]["high"]
    assert content["batch_sizes"]["without_replacement"] == counted["batch_sizes"]["without_replacement"]
    assert "exact" not in content["batch_sizes"]
    code, _, err = run("bound", root, "--crop", 3, 3)
    assert (code, "crops need a folder of masks" in err) == (1, True)


def test_many_classes_are_simulated(run, tmp_path) -> None:
    for name in ("annotations/train", "images/train", "splits"):
        (tmp_path / name).mkdir(parents=True)
    for i in range(22):
        Image.fromarray(np.full((2, 2), i, np.uint8)).save(tmp_path / "annotations/train" / f"{i}.png")
    (tmp_path / "splits" / "train.txt").write_text("\n".join(map(str, range(22))))
    rows = "".join(f"{i},c{i},0,0,{i},0\n" for i in range(22))
    (tmp_path / "classes.csv").write_text("id,name,r,g,b,ignore\n" + rows)
    code, out, err = run("bound", tmp_path, "--json", "--draws", 500, "--delta", 0.3)
    assert code == 0, err
    assert json.loads(out)["batch_sizes"]["simulated"]["value"] == 22  # each class in one image only
    assert "simulated" in run("bound", tmp_path, "--draws", 500, "--delta", 0.3)[1]


def test_errors_are_one_line(run, folder) -> None:
    root, _ = folder
    for arguments, message in (
        (("bound", "citiscapes"), "no data 'citiscapes'"),
        (("bound", "cityscapes", "--delta", 0), "delta is 0"),
        (("bound", "cityscapes", "--pixels", 10), "more than image_pixels=10"),
        (("bound", "ade20k", "--crop", 512, 512), "differ in size"),
        (("bound", root, "--split", "val"), "no such split file"),
        (("bound", root, "--crop", 30, 30), "mask 0 of (8, 10) is smaller than the crop"),
    ):
        code, _, err = run(*arguments)
        assert code == 1, arguments
        assert message in err
        assert len(err.strip().splitlines()) == 1


def test_gap_writes_its_record(run, tmp_path, capsys, monkeypatch) -> None:
    path = tmp_path / "gap.csv"
    code, out, err = run(
        "gap", "--seeds", 3, "--largest", 16, "--test-images", 1024, "--output", path, "--json"
    )
    assert code == 0, err
    assert [fit["quantity"] for fit in json.loads(out)["fits"]] == ["sup_gap", "optimism"]
    names = [field.name for field in fields(GapRow)]
    numbers = [row.real(*names) for row in read_rows(path, names)]
    rows = [GapRow(**dict(zip(names, each, strict=True))) for each in numbers]
    design = GapDesign(sizes=(8, 16), test_images=1024)
    for written, measured in zip(rows, measure_gaps(design, range(3)), strict=True):
        assert vars(written) == pytest.approx(vars(measured), rel=1e-8)
    assert len(rows) == 5 * 2 * 3
    assert [p.name for p in tmp_path.iterdir()] == ["gap.csv"]
    path.write_text("a table of mine\n")
    words = ("gap", "--seeds", 3, "--largest", 16, "--test-images", 1024, "--output", path)
    with monkeypatch.context() as patch:
        patch.setattr("aucseg.cli.bound.measure_gaps", lambda *_: pytest.fail("it measures first"))
        code, _, err = run(*words)
    assert code == 1
    assert "gap.csv: is there already, and is no table of" in err
    assert path.read_text() == "a table of mine\n"
    assert run(*words, "--overwrite")[0] == 0
    assert len(read_rows(path, names)) == len(rows)
    print_fits(rows, [fit_gaps(rows, "sup_gap")])
    assert "exponent of n" in capsys.readouterr().out
