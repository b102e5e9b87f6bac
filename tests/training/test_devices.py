"""Several processes: the same run as one, through the command itself; one that dies or hangs is told."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest
import torch

from aucseg.functional.pseudo_labels import PSEUDO_LABEL_COUNTS
from aucseg.training import ConfigError, Record, checkpoint_path, read_checkpoint, train
from aucseg.training.devices import Ranks, is_first, make_strategy, plan_ranks, sync_plugins
from tests.processes import command, start_quietly
from tests.repository import ROOT
from tests.training import ranks

TORCHRUN = {"TORCHELASTIC_RUN_ID": "1", "RANK": "2", "LOCAL_RANK": "0"}
SRUN = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NNODES": "2", "SLURM_PROCID": "0"}


def port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def start(*words: str, home: Path, **environment: str) -> subprocess.Popen:
    """A process of its own, with what it says in one stream."""
    known = {"AUCSEG_HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *words],
        env=os.environ | known | environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def alone():
    """Records of one process with the whole batch, made when asked for."""
    made: dict[str, Record] = {}

    def record(name: str, folder: Path) -> Record:
        if name not in made:
            made[name] = train(ranks.config(name), folder, progress=False, report=lambda line: None)
        return made[name]

    return record


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)])
def together(request, tmp_path_factory):
    """All cases on one machine: two processes by agents of torchrun, three with the variables these set."""
    folder, number = tmp_path_factory.mktemp("torchrun"), request.param
    said = (by_agents if number == 2 else by_variables)(folder, number)
    return number, folder, said


def by_agents(folder: Path, number: int) -> list[str]:
    """What the agents said, each with one process."""
    words = ["-m", "tests.training.ranks", str(folder), str(number)]
    where = port()
    started = [
        start(
            *("-m", "torch.distributed.run", "--nnodes", str(number), "--nproc-per-node", "1"),
            *("--node-rank", str(rank), "--master-addr", "127.0.0.1", "--master-port", where),
            *words,
            home=folder,
        )
        for rank in range(number)
    ]
    said = [process.communicate(timeout=900)[0] for process in started]
    assert [process.returncode for process in started] == [0] * len(started), said
    return said


def by_variables(folder: Path, number: int) -> list[str]:
    """What the processes said; they share the imports that agents pay for each of theirs."""
    known = {"AUCSEG_HOME": str(folder), "TORCHELASTIC_RUN_ID": "1", "MASTER_ADDR": "127.0.0.1"}
    known |= {"MASTER_PORT": port(), "WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0"}
    places = [folder / f"said-{rank}.txt" for rank in range(number)]
    started = [
        start_quietly(place, ranks.main, folder, number, environment=known | {"RANK": str(rank)})
        for rank, place in enumerate(places)
    ]
    for process in started:
        process.join(900)
    said = [place.read_text() for place in places]
    assert [process.exitcode for process in started] == [0] * number, said
    return said


@pytest.mark.parametrize("name", ["auc", "micro", "blv", "region", "few", "teacher"])
def test_the_same_record_as_one_process(together, alone, name, tmp_path):
    number, folder, _ = together
    config = ranks.config(name)
    record = Record.read(folder / "data" / "records" / "smoke" / f"{config.identity}.json")
    one = alone(name, tmp_path)
    assert (record.identity, record.dataset) == (one.identity, one.dataset)
    assert set(record.history) == set(one.history)
    # a pseudo-label that tips over moves what comes after it; one pixel is 8e-5 of the weight
    close = {"rel": 1e-4, "abs": 1e-7} if one.method is None else {"rel": 1e-2, "abs": 1e-3}
    for key, values in one.history.items():
        assert record.history[key] == pytest.approx(values, **close), key
    for key, value in one.metrics.items():
        close = 2e-3 if "IoU" in key or "Acc" in key or "acc" in key else 1e-3  # a pixel may tip over
        if not isinstance(value, dict):
            assert record.metrics[key] == pytest.approx(value, abs=close), key
    if one.bank is not None:
        size = {"bytes": None}
        assert record.bank | size == one.bank | size
    if one.validation is not None:
        assert record.validation["step"] == one.validation["step"] == [2, 3]
        assert record.validation["mIoU"] == pytest.approx(one.validation["mIoU"], abs=2e-3)
    if one.method is not None:
        assert record.method.keys() == one.method.keys()
        assert record.method["step"] == one.method["step"] == list(range(2, 41, 2))
        for row in ("labelled", "unlabelled", "truth", "estimated_step"):
            assert record.method[row] == one.method[row], row
        for row in PSEUDO_LABEL_COUNTS:  # twelve images of 32 x 64 pixels in a stretch; some pixels tip over
            for name, pixels in one.method[row].items():
                assert record.method[row][name] == pytest.approx(pixels, abs=50), (row, name)
    hardware = record.hardware
    assert hardware["processes"] == number
    assert len(hardware["peak_memory_bytes"]) == len(hardware["seconds_per_step"]) == number
    assert max(hardware["peak_memory_bytes"]) == record.peak_memory_bytes


def test_only_the_first_process_speaks_and_writes(together):
    number, folder, said = together
    whole = "".join(said)
    assert whole.count("checkpoint  ") == len(ranks.CASES)
    assert whole.count(f"{number} processes train together") == len(ranks.CASES)
    assert sorted(p.name for p in (folder / "region").iterdir()) == ["best.ckpt", "last.ckpt"]


def test_banks_of_their_own_need_as_many_processes(together):
    number, folder, _ = together
    config = ranks.config("own")
    kept = read_checkpoint(checkpoint_path(config, folder / "own"))["aucseg"]["banks"]
    assert len(kept) == number
    assert not torch.equal(kept[0]["generator"], kept[1]["generator"])
    with pytest.raises(ConfigError, match=f"the banks of {number} processes; there are 1 now"):
        train(config, folder / "own", progress=False, report=lambda line: None)


def wait_for_step(path: Path, step: int, *processes: subprocess.Popen | BaseProcess) -> int:
    """Wait until the checkpoint has that step."""
    until = time.monotonic() + 400
    while time.monotonic() < until:
        for process in processes:
            if isinstance(process, BaseProcess):
                assert process.is_alive()
            else:
                assert process.poll() is None, process.communicate()[0]
        try:
            if (found := torch.load(path, weights_only=True)["global_step"]) >= step:
                return found
        except (OSError, RuntimeError, EOFError):
            pass
        time.sleep(0.2)
    raise AssertionError(f"no step {step} in {path}")


def test_ranks_that_agree_wait_no_longer_than_they_were_told(tmp_path):
    """A group of its own has PyTorch's half an hour, whatever the first group has."""
    where = f"file://{tmp_path}/meeting"
    pair = [
        start_quietly(tmp_path / f"{rank}.txt", ranks.silent, rank, where, environment={})
        for rank in range(2)
    ]
    pair[0].join(300)
    for process in pair:
        process.kill()
        process.join()
    said = (tmp_path / "0.txt").read_text()
    found = re.search(r"gave up after ([\d.]+) s: .*[Tt]imed out", said)
    assert found, said
    assert 4 < float(found[1]) < 60


def test_a_process_that_dies_or_hangs_is_told_and_the_run_goes_on(tmp_path, alone):
    """Killed, stopped and asked to stop, by three kinds of start; the end is that of a run left alone."""
    config = ranks.config("auc", optim__steps=4000, data__sampling="random")
    file, folder = tmp_path / "run.yaml", tmp_path / "run"
    config.to_yaml(file)
    path = checkpoint_path(config, folder)
    words = ("-m", "aucseg", "train", str(file), "--folder", str(folder), "--quiet")

    first = start(*words, "--set", "devices=2", home=tmp_path)  # Lightning starts the second
    wait_for_step(path, 2, first)
    (other,) = psutil.Process(first.pid).children()
    other.send_signal(signal.SIGKILL)
    said, _ = first.communicate(timeout=300)
    assert first.returncode != 0
    assert "another one has ended or does not answer" in said or "terminated with code -9" in said, said
    before = wait_for_step(path, 2)  # it went on until the signal came

    where = port()
    slurm = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_JOB_ID": "7"}
    slurm |= {"SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_NODEID": "0", "SLURM_JOB_NAME": "a"}
    slurm |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": where, "SLURM_NODELIST": "localhost"}
    slurm |= {"AUCSEG_HOME": str(tmp_path)}
    pair = [
        start_quietly(
            tmp_path / f"said-{rank}.txt",
            command,
            *words[2:],
            *("--set", "rank_timeout=30"),
            environment=slurm | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
        )
        for rank in range(2)
    ]
    try:
        wait_for_step(path, before + 1, *pair)
        os.kill(pair[1].pid, signal.SIGSTOP)
        pair[0].join(300)
    finally:
        for process in pair:
            process.kill()
            process.join()
    said = (tmp_path / "said-0.txt").read_text()
    assert pair[0].exitcode == 1
    assert "error: process 0 of 2: another one has ended or does not answer" in said, said
    assert "rank_timeout is how long an answer may take" in said
    after = wait_for_step(path, before + 1)

    third = start(*words, "--set", "devices=2", home=tmp_path)
    wait_for_step(path, after + 1, third)
    third.send_signal(signal.SIGTERM)  # the second process is told by the first
    said, _ = third.communicate(timeout=300)
    assert third.returncode == 128 + signal.SIGTERM, said
    assert "and the same command goes on from there" in said
    left = read_checkpoint(path, expect=config)
    assert len(left["aucseg"]["history"]["step"]) == left["global_step"] // 80


def environment(monkeypatch, **variables: str) -> None:
    for name in (*TORCHRUN, *SRUN, "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_who_has_started_says_how_many(monkeypatch):
    config = ranks.config("blv")
    environment(monkeypatch)
    assert (tuple(plan_ranks(config)), is_first()) == ((1, 1), True)
    assert tuple(plan_ranks(config.with_(devices=3, num_nodes=2))) == (3, 2)
    environment(monkeypatch, LOCAL_RANK="1")
    assert not is_first()
    environment(monkeypatch, NODE_RANK="1")
    assert not is_first()
    environment(monkeypatch, **TORCHRUN, WORLD_SIZE="6", LOCAL_WORLD_SIZE="2")
    assert (tuple(plan_ranks(config)), is_first()) == ((2, 3), False)
    with pytest.raises(ConfigError, match=r"torchrun has started 2 processes on 3 machines, .* 4 on 1"):
        plan_ranks(config.with_(devices=4))
    environment(monkeypatch, **SRUN)
    assert (tuple(plan_ranks(config.with_(data__batch_size=8))), is_first()) == ((2, 2), True)


@pytest.mark.parametrize("changes", [{"devices": 4}, {"accumulate": 4}, {"devices": 2, "accumulate": 2}])
def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch, changes):
    environment(monkeypatch)
    with pytest.raises(ConfigError, match=r"is the whole batch, 6 images, .* make it a multiple of 4"):
        plan_ranks(ranks.config("blv", **changes))


def test_what_cannot_be_had_is_refused(monkeypatch):
    environment(monkeypatch)
    config = ranks.config("blv", devices=2)
    with pytest.raises(ConfigError, match="'fsdp' shards the weights"):
        make_strategy(config.with_(strategy="fsdp"), plan_ranks(config))
    with pytest.raises(ConfigError, match="sync_batchnorm needs GPUs"):
        sync_plugins(config.with_(sync_batchnorm=True), plan_ranks(config), on_gpu=False)


def test_where_a_run_is_trained_is_no_part_of_it():
    config = ranks.config("auc")
    where = {"devices": 2, "num_nodes": 4, "strategy": "ddp", "accumulate": 3, "rank_timeout": 9.0}
    assert config.with_(**where, sync_batchnorm=False).identity == config.identity
    assert config.with_(bank__share="none").identity != config.identity
    assert "share" not in json.dumps(config.model_dump(mode="json", exclude_defaults=True))


def test_synced_batch_norm_keeps_the_activation_of_timm(monkeypatch):
    """PyTorch's own conversion makes a plain normalisation of one that has its activation in it."""
    from timm.layers import BatchNormAct2d

    (plugin,) = sync_plugins(ranks.config("blv"), Ranks(2, 1), on_gpu=True)
    layer = BatchNormAct2d(4)
    converted = plugin.apply(layer)
    assert isinstance(converted, torch.nn.SyncBatchNorm)
    assert isinstance(converted.act, torch.nn.ReLU)
    assert converted.weight is layer.weight
    assert plugin.revert(converted) is converted


def test_micro_batches_of_one_process_are_the_whole_batch(alone, tmp_path):
    """The gradient of the AUC over all images, whatever passes through the network at a time."""
    config = ranks.config("micro", accumulate=3)
    record = train(config, tmp_path / "parts", progress=False, report=lambda line: None)
    one = train(config.with_(accumulate=1), tmp_path / "whole", progress=False, report=lambda line: None)
    assert record.identity == one.identity
    assert record.history["loss"] == pytest.approx(one.history["loss"], rel=1e-5)
    assert record.hardware["micro_batches"] == 3
    assert "micro_batches" not in one.hardware


def test_batch_norm_and_dropout_are_named(tmp_path):
    said: list[str] = []
    config = ranks.config("blv", optim__steps=1, accumulate=2).with_(
        model__encoder="resnet18", model__options={}
    )
    train(config, tmp_path, progress=False, report=said.append)
    assert any("batch normalisation takes the statistics of 3 of the 6 images" in line for line in said)
