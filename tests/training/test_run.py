from __future__ import annotations

import gc
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from aucseg.data import SeededDataset
from aucseg.errors import DataError
from aucseg.experiments import make_config
from aucseg.training import (
    CheckpointError,
    ConfigError,
    Record,
    RunConfig,
    SegmentationDataModule,
    TrainingDiverged,
    TrainingStopped,
    checkpoint_path,
    evaluate,
    load_module,
    read_checkpoint,
    run,
    train,
)
from aucseg.training.bank import foretell_cover
from aucseg.training.checkpoint import AtomicCheckpointIO
from aucseg.training.progress import StepLines
from aucseg.training.stop import Stop
from tests.command import aucseg
from tests.training.interrupted import StopAt

BANK = {"sample_ratio": 1.0, "resize_ratio": 0.5}


def smoke(**changes) -> RunConfig:
    return make_config("streets", "smoke", bank=BANK).with_(
        **{"optim__steps": 5, "checkpoint_every": 2, "device": "cpu"} | changes
    )


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """A job in the background ignores Ctrl-C, and so do its children: the tests shall not depend on it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


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
    resumed = train(config, tmp_path, progress=False)
    assert resumed.same_result(record)
    assert resumed.timing["seconds_total"] > left["aucseg"]["seconds"] > 0  # no time is lost at a resume


def test_a_folder_of_runs_may_be_moved(finished, tmp_path):
    """Lightning would warn of the folder that its checkpoint remembers."""
    config, folder, record = finished
    shutil.copytree(folder, tmp_path / "moved")
    lines: list[str] = []
    assert train(config, tmp_path / "moved", progress=False, report=lines.append).same_result(record)
    assert lines[0] == f"all 5 steps are done: {checkpoint_path(config, tmp_path / 'moved')} is evaluated"


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


def test_killed_by_the_system_and_resumed_from_the_command_line(tmp_path, monkeypatch):
    """What a user sees: the process dies at any moment, the same command goes on."""
    config = smoke(optim__steps=24)
    config.to_yaml(tmp_path / "run.yaml")
    words = ("train", "run.yaml", "--quiet")
    # As many threads as this process has: another number adds the same terms in another order.
    home = dict(os.environ, AUCSEG_HOME=str(tmp_path), OMP_NUM_THREADS="1")
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "aucseg", *words],
        cwd=tmp_path,
        env=home,
        stdout=subprocess.DEVNULL,
    )
    checkpoint = tmp_path / "runs" / config.identity / "last.ckpt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    step = torch.load(checkpoint, weights_only=True)["global_step"]
    assert step < 24
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert aucseg(*words).exit_code == 0  # another process than the first, and this one has its imports
    resumed = Record.read(tmp_path / "data/records/smoke" / f"{config.identity}.json")
    assert resumed.same_result(train(config, tmp_path / "whole", progress=False))
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.ckpt"]  # one is enough now


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals of POSIX")
def test_a_signal_and_the_end_of_a_worker_in_the_same_moment(capfd):
    """A group gets SIGTERM, its workers die at once, and both signals wait when Python looks at them."""
    heard: list[str] = []
    both = {signal.SIGTERM, signal.SIGCHLD}

    def training() -> None:
        with Stop(None, AtomicCheckpointIO(), heard.append) as stop:
            stop._training = True
            signal.pthread_sigmask(signal.SIG_BLOCK, both)
            for number in both:  # to this thread: another one of the process would take it at once
                signal.pthread_kill(threading.get_ident(), number)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, both)

    before = signal.signal(signal.SIGCHLD, lambda *_: heard.append("a worker died"))
    try:
        with pytest.raises(TrainingStopped):
            training()
        os.kill(os.getpid(), signal.SIGCHLD)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert [line.partition(":")[0] for line in heard] == ["stopping", "a worker died"]
    assert capfd.readouterr().err == ""


def test_terminated_with_its_workers_and_watched_in_a_file(tmp_path):
    """What a cluster does: every process of a job gets the signal, and a log file has what was printed."""
    config = smoke(optim__steps=400, data__num_workers=2, checkpoint_every=100)
    config.to_yaml(tmp_path / "run.yaml")
    command = [sys.executable, "-W", "error", "-m", "aucseg", "train", "run.yaml"]
    home = dict(os.environ, AUCSEG_HOME=str(tmp_path), OMP_NUM_THREADS="1")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=home, stdout=log, stderr=log, start_new_session=True
        )
        deadline = time.monotonic() + 240
        while "step 20/400" not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)
        code = process.wait(timeout=120)
    told = (tmp_path / "log").read_text()
    assert code == 143, told
    assert "Traceback" not in told
    assert "\r" not in told
    step = int(re.search(r"last\.ckpt has step (\d+), and the same command goes on from there", told)[1])
    assert 20 <= step < 400
    assert read_checkpoint(tmp_path / "runs" / config.identity / "last.ckpt")["global_step"] == step


WITHOUT = "truck, train, motorcycle"
ABSENT = f"split 'val' has no pixel of {WITHOUT}: the means of head, middle and tail are without them"


class Signal(Callback):
    """Sends signals to this process in the middle of steps."""

    def __init__(self, signum: int, *steps: int) -> None:
        self.signum, self.steps = signum, steps

    def on_before_optimizer_step(self, trainer, *_) -> None:
        for _ in range(self.steps.count(trainer.global_step + 1)):
            os.kill(os.getpid(), self.signum)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_step_and_saves_it(finished, tmp_path, signum, code):
    config, _, record = finished
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    lines: list[str] = []
    with pytest.raises(TrainingStopped, match=r"last\.ckpt has step 3, and the same command goes on") as stop:
        train(config, tmp_path, progress=False, callbacks=(Signal(signum, 3),), report=lines.append)
    assert stop.value.exit_code == code
    assert isinstance(stop.value, KeyboardInterrupt)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert lines == ["stopping: the step is finished and saved; once more stops at once"]
    assert read_checkpoint(checkpoint_path(config, tmp_path))["global_step"] == 3
    lines.clear()
    assert train(config, tmp_path, progress=False, report=lines.append).same_result(record)
    assert lines[0] == f"goes on after step 3 of 5, from {checkpoint_path(config, tmp_path)}"
    assert lines[1:] == [ABSENT]
    lines.clear()
    assert train(config, tmp_path, progress=False, report=lines.append).same_result(record)
    assert lines[0] == f"all 5 steps are done: {checkpoint_path(config, tmp_path)} is evaluated"


def test_a_second_signal_ends_at_once(finished, tmp_path):
    config, _, record = finished
    with pytest.raises(TrainingStopped, match=r"last\.ckpt has step 2, and the same command goes on"):
        train(config, tmp_path, progress=False, callbacks=(Signal(signal.SIGINT, 4, 4),), report=print)
    assert train(config, tmp_path, progress=False).same_result(record)


def test_workers_that_get_the_signal_too_lose_no_step(finished, tmp_path, monkeypatch):
    """They die, and the loader fails where the training waits for it: the last step is complete."""
    config, _, record = finished
    read, asked = SeededDataset.__getitem__, []

    def dying(self, key):
        asked.append(key)
        if len(asked) == 15:  # of the fourth batch of four
            os.kill(os.getpid(), signal.SIGTERM)
            raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated")
        return read(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(SeededDataset, "__getitem__", dying)
        with pytest.raises(TrainingStopped, match=r"has step [23], and the same command goes on"):
            train(config.with_(checkpoint_every=100), tmp_path, progress=False, report=print)
    assert train(config, tmp_path, progress=False).same_result(record)


class WhileEvaluating(Callback):
    def on_test_batch_end(self, *_) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_in_the_evaluation_loses_nothing(finished, tmp_path):
    config, _, record = finished
    with pytest.raises(TrainingStopped, match=r"stopped after the last step; the same command evaluates"):
        train(config, tmp_path, progress=False, callbacks=(WhileEvaluating(),))
    assert train(config, tmp_path, progress=False).same_result(record)


def test_an_error_after_a_signal_is_not_hidden(finished, tmp_path, monkeypatch):
    config, _, _ = finished

    def full(*_: object, **__: object) -> None:
        raise DataError("no space left", file="last.ckpt")

    monkeypatch.setattr("aucseg.training.checkpoint.write_file", full)
    with pytest.raises(DataError, match="no space left"):
        train(config, tmp_path, progress=False, callbacks=(Signal(signal.SIGINT, 1),), report=print)


def test_progress_in_a_file_is_lines(finished, tmp_path, capsys):
    """Nothing moves there, nothing is taken back; a table of twenty lines whatever the number of steps."""
    config, _, record = finished
    lines: list[str] = []
    train(config, tmp_path, report=lines.append)
    lines.remove(ABSENT)
    assert len(lines) == 6
    for step, line in enumerate(lines[:5], 1):
        loss = record.history["loss"][step - 1]
        assert re.fullmatch(rf"step {step}/5  loss {loss:.4f}  \S+ s a step  \d:\d\d:\d\d left", line)
    tail = record.metrics["mIoU_tail"]
    told = f"mIoU {100 * record.metrics['mIoU']:.2f}"
    assert lines[5] == f"split 'val': {told}" + ("" if tail is None else f", mIoU_tail {100 * tail:.2f}")
    printed = capsys.readouterr()
    assert "\r" not in printed.out + printed.err
    few = StepLines(lines.append)
    few.on_train_start(SimpleNamespace(global_step=0), None)
    lines.clear()
    for step in range(1, 1001):
        few.on_train_batch_end(SimpleNamespace(global_step=step, max_steps=1000), None, {"loss": 0.5})
    assert len(lines) == 20


def test_what_the_machine_cannot_do_is_said(tmp_path):
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="device is 'cuda', and PyTorch finds no GPU here; set"):
            train(smoke(device="cuda"), tmp_path, progress=False)
    with pytest.raises(ConfigError, match="precision '16-mixed' needs a GPU; use auto"):
        train(smoke(precision="16-mixed"), tmp_path, progress=False)
    assert list(tmp_path.glob("*.ckpt")) == []


def test_a_checkpoint_of_a_gpu_is_evaluated_anywhere(finished, tmp_path):
    config, folder, record = finished
    content = read_checkpoint(checkpoint_path(config, folder))
    content["aucseg"]["config"] |= {"device": "cuda", "precision": "16-mixed"}
    torch.save(content, tmp_path / "gpu.ckpt")
    if not torch.cuda.is_available():
        assert evaluate(tmp_path / "gpu.ckpt", progress=False) == record.metrics


def test_the_record_says_how_it_was_trained(finished):
    _, _, record = finished
    assert (record.hardware["device"], record.hardware["precision"]) == ("cpu", "32-true")


def test_a_place_that_cannot_be_written_to_is_said_before_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr("aucseg.training.run.Trainer.fit", lambda *a, **k: pytest.fail("must not train"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file: cannot be written to \(File exists\)"):
        train(smoke(), tmp_path / "file", progress=False)
    monkeypatch.setattr("aucseg.training.run._checkpoint_bytes", lambda _: 2**60)
    with pytest.raises(DataError, match=r"run: cannot be written to \(.*\)"):
        train(smoke(), tmp_path / "run", progress=False)
    assert list((tmp_path / "run").iterdir()) == []


def test_the_checkpoint_before_a_damaged_one_is_taken(finished, tmp_path):
    config, _, record = finished
    with pytest.raises(ConnectionError):
        train(config, tmp_path, progress=False, callbacks=(StopAt(5),))
    last = checkpoint_path(config, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"last.ckpt", "previous.ckpt"}
    last.write_bytes(last.read_bytes()[:-100])
    lines: list[str] = []
    assert train(config, tmp_path, progress=False, report=lines.append).same_result(record)
    assert "goes on from the checkpoint before it, step 2" in lines[0]
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"last\.ckpt: is empty; start anew with .*--fresh"):
        train(config, tmp_path, progress=False)
    assert train(config, tmp_path, progress=False, resume=False).same_result(record)


def test_nothing_of_a_run_stays_in_memory_when_it_is_over(finished, monkeypatch):
    """A network, its optimizer and its metrics hold each other, and Python collects such circles rarely."""
    config, folder, _ = finished
    networks: list[weakref.ref] = []
    evaluated = run._evaluate

    def remember(trainer, module, *rest):
        networks.append(weakref.ref(module))
        return evaluated(trainer, module, *rest)

    monkeypatch.setattr(run, "_evaluate", remember)
    gc.disable()
    try:
        train(config, folder, progress=False)
    finally:
        gc.enable()
    assert networks
    assert not any(network() for network in networks)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux forgets a peak")
def test_a_run_has_a_peak_of_its_own():
    before = np.ones(400 * 2**20, np.uint8)
    assert run._peak_memory(False) > 400 * 2**20
    del before
    run._forget_peak(False)
    peak = run._peak_memory(False)
    after = np.ones(300 * 2**20, np.uint8)
    assert 250 * 2**20 < run._peak_memory(False) - peak < 350 * 2**20
    del after
