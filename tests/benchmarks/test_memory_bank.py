from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
import torch

from aucseg.memory import TailMemoryBank
from aucseg.memory.boxes import survey
from tests.repository import ROOT

COUNTED = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the peak is counted on Linux only"
)


def quick(name, folder):
    """The results of a benchmark at sizes that take no time, from the command line to the file."""
    path = folder / f"{name}.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        patch.setattr(sys, "argv", [f"{name}.py", "--quick", "--device", "cpu", "--csv", str(path)])
        benchmark = import_module(name)
        benchmark.run_on_devices(name, benchmark.__doc__, benchmark.measure, benchmark.quick)
    return pd.read_csv(path)


def test_rows_of_the_time(tmp_path):
    table = quick("memory_bank", tmp_path)
    assert set(table["scene"]) == {"objects", "scattered"}
    assert table[["hardware", "versions", "date"]].notna().all().all()
    assert (table["threads"] == 1).all()
    share = table["bank_ms_per_image"] / (table["bank_ms_per_image"] + table["step_ms_per_image"])
    assert table["bank_share_of_step"].tolist() == pytest.approx(share.tolist(), rel=1e-3)
    assert (table["stored_objects"] == 30).all()
    assert (table["reference_bytes"] == 30 * 64 * 64 * 13).all()
    assert (table["bank_bytes"] < table["reference_bytes"]).all()
    assert (table["pasted_per_image"] > 0).all()


@COUNTED
def test_rows_of_the_memory(tmp_path):
    path = tmp_path / "bank_memory.csv"
    script = [sys.executable, str(ROOT / "benchmarks" / "bank_memory.py")]
    # in a process of its own: memory that other tests have freed would be taken again, unseen
    subprocess.run([*script, "--quick", "--device", "cpu", "--csv", str(path)], check=True, cwd=ROOT)
    table = pd.read_csv(path)
    (row,) = table[table["part"] == "memory_size"].itertuples()
    assert row.bank_worst_bytes == 2 * 6 * 64 * 64 * 13
    assert 0 < row.bank_bytes < row.bank_worst_bytes
    assert row.bank_share_of_peak == pytest.approx(row.bank_bytes / row.peak_bytes, rel=1e-3)
    weights = sum(
        weight.nbytes
        for weight in import_module("bank_settings")
        .create_model(*row.network.split(), num_classes=10)
        .parameters()
    )
    assert 2.5 * weights < row.peak_bytes < 5 * weights  # weights, gradients and momentum, little else
    sizes = table[table["part"] == "batch_size"]
    assert sizes[["auc_loss", "tmb", "batch"]].to_numpy().tolist() == [[0, 0, 2], [1, 0, 2], [1, 1, 2]]
    assert sizes["bank_bytes"].gt(0).tolist() == [False, False, True]


def test_a_batch_that_does_not_fit_has_no_peak(monkeypatch):
    benchmark = import_module("bank_memory")
    setting = import_module("bank_settings").TINY

    def full(*_):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(benchmark, "_step", lambda *_: 0)
    monkeypatch.setattr(benchmark, "extra_peak_bytes", full)
    row = benchmark.row("batch_size", setting, "cpu", fresh=False)
    assert row["peak_bytes"] is row["peak_bytes_per_image"] is row["bank_share_of_peak"] is None


def scene():
    """Class 5 in two pieces in the first image, class 6 in the second, void at the top."""
    generator = torch.Generator().manual_seed(0)
    images, target = torch.rand(2, 3, 8, 9, generator=generator), torch.zeros(2, 8, 9, dtype=torch.long)
    target[0, 1:3, 2:4] = target[0, 6, 7] = 5
    target[1, 4:7, 1:6] = 6
    target[:, 0] = 255
    return images, target


def test_the_reference_stores_what_the_bank_stores():
    images, target = scene()
    ours, reference = TailMemoryBank((5, 6), sample_ratio=0), import_module("plain_bank").PlainBank((5, 6))
    ours(images, target)
    reference(images, target)
    for label, index, box in ((5, 0, (1, 7, 2, 8)), (6, 1, (4, 7, 1, 6))):
        ((picture, shape),) = ours.objects()[label]
        ((image, mask),) = reference.stored[label]
        assert survey(target, (label,))[index].boxes[label] == box
        rows, columns = slice(*box[:2]), slice(*box[2:])
        assert torch.equal(image, images[index])
        assert torch.equal(image[:, rows, columns], picture)
        assert torch.equal(mask[rows, columns], shape)
        assert mask.sum() == shape.sum()
    assert reference.nbytes() == 2 * 8 * 9 * 13


def test_at_ratio_one_the_reference_pastes_what_the_bank_pastes():
    """The whole image has one place, so nothing is left to chance but the order of the classes."""
    images, target = scene()
    options = {"sample_ratio": 1.0, "resize_ratio": 1.0}
    ours = TailMemoryBank((5, 6), placement="canvas", budget=None, **options)
    reference = import_module("plain_bank").PlainBank((5, 6), **options)
    found, expected = ours(images, target), reference(images, target)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert not torch.equal(found[1], target)
    assert (found[1][:, 0] == 255).all()
    full = [bank(images[:1], target[:1])[1] for bank in (ours, reference)]
    assert all((labels == 6).any() for labels in full)


def test_the_reference_replaces_and_scales():
    images, target = scene()
    reference = import_module("plain_bank").PlainBank(
        (5, 6), memory_size=2, sample_ratio=1.0, resize_ratio=0.5
    )
    for _ in range(3):
        out, labels = reference(images, target)
    assert [len(stored) for stored in reference.stored.values()] == [2, 2]
    assert 0 < (labels[0] == 6).sum() < 15
    assert (out[0] != images[0]).any(0).sum() == (labels[0] == 6).sum()


def test_scenes_hold_the_tail_in_turn_and_fill_a_bank():
    setting = import_module("bank_settings").TINY
    bank = setting.full_bank(3, "cpu")
    assert set(bank.sizes().values()) == {3}
    shapes = [mask.shape for shelf in bank.objects().values() for _, mask in shelf]
    assert max(max(shape) for shape in shapes) <= 32
    assert bank.metrics()["bank/bytes"] < setting.worst_bytes(3) == 3 * 6 * 64 * 64 * 13
    for images, target in islice(setting.scattered("cpu"), 3):
        assert images.shape == setting.shape
        assert set(target.unique().tolist()) <= {*range(10), 255}
