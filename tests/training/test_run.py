from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback

from aucseg.errors import DataError
from aucseg.experiments import make_config
from aucseg.training import (
    CheckpointError,
    ConfigError,
    Record,
    RunConfig,
    SegmentationDataModule,
    TrainingDiverged,
    checkpoint_path,
    evaluate,
    load_module,
    train,
)
from aucseg.training.bank import foretell_cover

BANK = {"sample_ratio": 1.0, "resize_ratio": 0.5}


class StopAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, *args) -> None:
        if trainer.global_step == self.step:
            raise ConnectionError("the power went out")


def smoke(**changes) -> RunConfig:
    return make_config("streets", "smoke", bank=BANK).with_(
        **{"optim__steps": 5, "checkpoint_every": 2, "device": "cpu"} | changes
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    config, said = smoke(), []
    record = train(config, folder, progress=False, report=said.append)
    # whether the ratios of a smoke profile cover much or little, it is what is foretold from the masks
    data = SegmentationDataModule(config)
    told = foretell_cover(config.bank, data.classes, config.data.batch_size)
    assert [line for line in said if "pastes" in line] == ([] if told is None else [told])
    return config, folder, record


def test_record_is_complete(finished):
    config, _, record = finished
    assert record.identity == config.identity
    assert record.history["step"] == [1.0, 2.0, 3.0, 4.0, 5.0]
    trained = {name for name in record.history if not name.startswith("bank/")}
    assert trained == {"step", "learning_rate", "loss", "auc", "cross_entropy"}
    assert 0 <= record.metrics["mIoU"] <= 1
    assert set(record.metrics["iou"]) == set(record.dataset["classes"])
    assert record.bank is not None
    assert 0 < record.bank["covered"]["mean"] <= record.bank["covered"]["max"] <= 1
    assert record.history["bank/covered_most"][-1] == record.bank["covered"]["max"]
    assert record.timing["seconds_per_step"] > 0
    assert record.peak_memory_bytes > 1e6
    assert record.versions["torch"] == torch.__version__.split("+")[0] or record.versions["torch"]
    assert Record.model_validate_json(record.model_dump_json()) == record


def test_a_second_run_comes_to_the_same_record(finished, tmp_path):
    config, _, record = finished
    assert train(config, tmp_path, progress=False).same_result(record)


@pytest.mark.parametrize("step", [3, 5])
def test_an_interrupted_run_resumes_to_the_same_record(finished, tmp_path, step):
    config, _, record = finished
    with pytest.raises(ConnectionError):
        train(config, tmp_path, progress=False, callbacks=(StopAt(step),))
    left = torch.load(checkpoint_path(config, tmp_path), weights_only=True)
    assert left["global_step"] == step // 2 * 2  # what was saved last, not the end
    assert train(config, tmp_path, progress=False).same_result(record)


def test_workers_do_not_change_the_record(finished, tmp_path):
    config, _, record = finished
    assert train(config.with_(data__num_workers=1), tmp_path, progress=False).same_result(record)


def test_fresh_start_ignores_the_checkpoint(finished, tmp_path):
    config, _, record = finished
    with pytest.raises(ConnectionError):
        train(config, tmp_path, progress=False, callbacks=(StopAt(3),))
    assert train(config, tmp_path, progress=False, resume=False).same_result(record)


def test_a_fresh_start_that_fails_keeps_the_finished_checkpoint(finished, monkeypatch):
    config, folder, _ = finished
    before = checkpoint_path(config, folder).read_bytes()
    monkeypatch.setattr(
        "aucseg.training.run.SegmentationDataModule", lambda config: (_ for _ in ()).throw(DataError("gone"))
    )
    with pytest.raises(DataError, match="gone"):
        train(config, folder, resume=False, progress=False)
    assert checkpoint_path(config, folder).read_bytes() == before


def test_a_finished_run_only_evaluates_again(finished):
    config, folder, record = finished
    again = train(config, folder, progress=False)
    assert again.same_result(record)


def test_evaluate_gives_the_metrics_of_the_record(finished):
    config, folder, record = finished
    assert evaluate(checkpoint_path(config, folder), progress=False) == record.metrics


def test_evaluate_other_split(finished):
    config, folder, record = finished
    assert evaluate(checkpoint_path(config, folder), split="train", progress=False) != record.metrics


def test_checkpoint_of_another_run_is_refused(finished):
    config, folder, _ = finished
    with pytest.raises(CheckpointError, match="another run folder"):
        train(config.with_(seed=9), folder, progress=False)


def test_a_damaged_checkpoint_is_named(finished, tmp_path):
    config, folder, _ = finished
    path = tmp_path / "last.ckpt"
    path.write_bytes(checkpoint_path(config, folder).read_bytes()[:2000])
    with pytest.raises(CheckpointError, match=r"last\.ckpt"):
        train(config, tmp_path, progress=False)


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_a_checkpoint_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"aucseg": {}, "state_dict": Malicious()}, tmp_path / "bad.ckpt")
    with pytest.raises(CheckpointError, match=r"bad\.ckpt"):
        load_module(tmp_path / "bad.ckpt")
    assert not (tmp_path / "pwned").exists()


def test_a_foreign_or_misfitting_checkpoint_is_named(finished, tmp_path):
    config, folder, _ = finished
    torch.save({"weights": torch.zeros(1)}, tmp_path / "foreign.ckpt")
    with pytest.raises(CheckpointError, match=r"foreign\.ckpt.*aucseg"):
        load_module(tmp_path / "foreign.ckpt")
    content = torch.load(checkpoint_path(config, folder), weights_only=True)
    content["state_dict"].popitem()
    torch.save(content, tmp_path / "short.ckpt")
    with pytest.raises(CheckpointError, match=r"short\.ckpt: does not fit"):
        load_module(tmp_path / "short.ckpt")
    with pytest.raises(CheckpointError, match=r"none\.ckpt"):
        load_module(tmp_path / "none.ckpt")


def test_divergence_is_reported_with_its_step(tmp_path):
    with pytest.raises(TrainingDiverged, match=r"step \d+.*optim\.lr"):
        train(smoke(optim__lr=1e30, loss__name="cross_entropy"), tmp_path, progress=False)


def test_wrong_data_is_reported_before_training(tmp_path, tiny_camvid, monkeypatch):
    monkeypatch.setattr("aucseg.training.run.Trainer.fit", lambda *a, **k: pytest.fail("must not train"))
    with pytest.raises(ConfigError, match="no split 'dev'"):
        train(smoke(data__eval_split="dev"), tmp_path, progress=False)
    camvid = make_config("camvid", "smoke", root=str(tiny_camvid), data={"train_images": None})
    with pytest.raises(ConfigError, match="holds 2 images, 4 were asked for"):
        train(camvid, tmp_path, progress=False)
    image = next((tiny_camvid / "images" / "test").iterdir())
    image.write_bytes(b"no image")
    with pytest.raises(DataError, match=image.name):
        train(camvid.with_(data__eval_images=None), tmp_path, progress=False)


def test_camvid_trains(tmp_path, tiny_camvid):
    config = make_config(
        "camvid", "smoke", root=str(tiny_camvid), data={"train_images": 3, "eval_images": None}, bank=BANK
    )
    record = train(config, tmp_path, progress=False)
    assert record.dataset["train_images"] == 3
    assert record.dataset["eval_images"] == 2
    assert record.config["data"]["root"] == "camvid"  # no folder of this machine
    assert record.identity == record.run_config.identity


def test_a_run_on_files_with_the_full_pipeline(tiny_camvid: Path, tmp_path: Path) -> None:
    config = RunConfig.from_dict(
        {
            "data": {
                "name": "folder",
                "root": str(tiny_camvid),
                "crop_size": [32, 64],
                "resize": [48, 96],
                "scale": [0.5, 2.0],
                "photometric": "mmseg",
                "max_class_share": 0.75,
                "batch_size": 2,
            },
            "model": smoke().model.model_dump(),
            "bank": None,
            "optim": {"steps": 2, "warmup_steps": 1},
            "evaluation": {"window": [32, 64], "ratios": [0.5, 1.0], "flip": True},
            "device": "cpu",
        }
    )
    record = train(config, tmp_path, progress=False)
    assert 0 <= record.metrics["mIoU"] <= 1
    assert RunConfig.from_dict(record.config | {"data": config.data.model_dump()}).identity == config.identity


def test_any_image_size(finished):
    config, folder, _ = finished
    module = load_module(checkpoint_path(config, folder))
    with torch.inference_mode():
        assert module(torch.zeros(1, 3, 45, 70)).shape == (1, 19, 45, 70)


def test_killed_by_the_system_and_resumed_from_the_command_line(tmp_path):
    """What a user sees: the process dies at any moment, the same command goes on."""
    config = smoke(optim__steps=12)
    config.to_yaml(tmp_path / "run.yaml")
    command = [sys.executable, "-W", "error", "-m", "aucseg", "train", "run.yaml", "--quiet"]
    # As many threads as this process has: another number adds the same terms in another order.
    home = dict(os.environ, AUCSEG_HOME=str(tmp_path), OMP_NUM_THREADS="1")
    process = subprocess.Popen(command, cwd=tmp_path, env=home, stdout=subprocess.DEVNULL)
    checkpoint = tmp_path / "runs" / config.identity / "last.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    step = torch.load(checkpoint, weights_only=True)["global_step"]
    assert step < 12
    subprocess.run(command, cwd=tmp_path, env=home, check=True, stdout=subprocess.DEVNULL)
    resumed = Record.read(tmp_path / "data/records/smoke" / f"{config.identity}.json")
    assert resumed.same_result(train(config, tmp_path / "whole", progress=False))
