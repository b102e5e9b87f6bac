"""Predictions that are kept beside records: which images, how they are stored, those in the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aucseg import paths
from aucseg.data import load_spec
from aucseg.errors import DataError
from aucseg.experiments import PREDICTED_IMAGES, RecordStore, Results, kept_predictions, make_config
from aucseg.experiments.predictions import (
    predicted_positions,
    predictions_folder,
    read_fixed,
    shares_predictions,
    write_fixed,
)
from aucseg.training import Record, build_dataset
from tests.repository import ROOT

KEPT = sorted((ROOT / "data" / "records").glob("*/predictions/*"))


class Masks:
    """A data set of masks."""

    def __init__(self, *held: set[int]) -> None:
        self.held = held

    def __len__(self) -> int:
        return len(self.held)

    def mask(self, index: int) -> np.ndarray:
        return np.array([[*self.held[index], 255]])


def test_images_with_most_classes_of_the_tail_the_first_of_equal_ones() -> None:
    masks = Masks({0}, {0, 7}, {8, 9}, {7, 8, 9}, {7}, {255}, {8, 7})
    assert predicted_positions(masks, (7, 8, 9)) == (3, 2, 6, 1)
    assert predicted_positions(Masks({7}), (7,)) == (0,)
    # of a large split only the first ones are looked at
    many = Masks(*[{0}] * 64, {7, 8, 9})
    assert 64 not in predicted_positions(many, (7, 8, 9))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    spec = load_spec("cityscapes")
    folder = predictions_folder(tmp_path, "laptop", "0123456789abcdef")
    wanted = {5: np.arange(12, dtype=np.uint8).reshape(3, 4), 62: np.full((2, 2), 18, np.uint8)}
    files = write_fixed(wanted, spec.palette, folder)
    assert [path.name for path in files] == ["00005.png", "00062.png"]
    found = read_fixed(folder)
    assert list(found) == [5, 62]
    for position, ids in wanted.items():
        np.testing.assert_array_equal(found[position], ids)
    with Image.open(files[0]) as mask:  # seen as the classes' colours by any viewer
        np.testing.assert_array_equal(np.asarray(mask.convert("RGB")), spec.palette[wanted[5]])
    assert read_fixed(tmp_path / "none") == {}


def test_another_file_is_told(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "00001.png")
    with pytest.raises(DataError, match="mode L"):
        read_fixed(tmp_path)
    (tmp_path / "00001.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="evaluate-again"):
        read_fixed(tmp_path)


def test_training_and_evaluating_again_keep_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are what the network of the checkpoint says, by a plain argmax of its logits."""
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    store, config = RecordStore(), make_config("streets", "smoke", seed=0, bank=None)
    store.train(config, progress=False)
    found = store.predictions(config)
    data = build_dataset(config.data, config.data.eval_split, config.data.eval_images)
    assert len(found) == min(PREDICTED_IMAGES, len(data))
    network = store.network(config, compute="never")
    assert network is not None
    mean, std = (torch.tensor(figure)[:, None, None] for figure in config.model.figures)
    for position, ids in found.items():
        image = (torch.as_tensor(data[position][0]).float() / 255 - mean) / std
        with torch.inference_mode():
            np.testing.assert_array_equal(ids, network[0](image[None])[0].argmax(0).numpy())
    folder = predictions_folder(store.root, config.profile, config.identity)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / next(iter(before))).unlink()
    assert store.evaluate_again(config, progress=False) is not None
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    results = Results("ablation_components", "streets", "smoke", [0], "never", store=store)
    seed, kept = kept_predictions(results)
    same = [run.arm.name for run in results.runs if run.config.identity == config.identity]
    assert (seed, list(kept)) == ((0, same) if same else (None, []))


def test_a_network_that_cannot_predict_costs_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    monkeypatch.setattr(
        "aucseg.experiments.store.write_fixed",
        lambda *_: (_ for _ in ()).throw(DataError("the disk is full")),
    )
    told: list[str] = []
    store, config = RecordStore(), make_config("streets", "smoke", seed=0, bank=None)
    record = store.train(config, progress=False, report=told.append)
    assert store.get(config) == record
    assert store.predictions(config) == {}
    assert any("the disk is full" in line for line in told)


def test_nobodys_own_images_are_kept() -> None:
    config = make_config("streets", "smoke", seed=0)
    assert shares_predictions(config)
    assert not shares_predictions(config.with_(data__name="folder", data__root="somewhere"))


def test_there_are_predictions_in_the_repository() -> None:
    assert KEPT


@pytest.mark.parametrize("folder", KEPT, ids=lambda path: path.name)
def test_predictions_in_the_repository_belong_to_a_record(folder: Path) -> None:
    record = Record.read(paths.records() / folder.parents[1].name / f"{folder.name}.json")
    config = record.run_config
    found = read_fixed(folder)
    data = build_dataset(config.data, config.data.eval_split, config.data.eval_images)
    assert tuple(found) == tuple(sorted(predicted_positions(data, data.spec.tail)))
    right, labelled = 0, 0
    for position, ids in found.items():
        truth = np.asarray(data[position][1])
        assert ids.shape == truth.shape
        assert ids.max() < data.spec.num_classes
        right += (ids == truth)[truth != data.spec.ignore_index].sum()
        labelled += (truth != data.spec.ignore_index).sum()
    # of the network of the record, or something near it: four images are few, but no other task
    assert abs(right / labelled - record.metrics["pixel_accuracy"]) < 0.15
