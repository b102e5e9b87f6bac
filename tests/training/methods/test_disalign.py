"""The second stage: what is trained, what stays, what it starts from, and how it is resumed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from aucseg.experiments import RecordStore, get_experiment
from aucseg.models import classifier
from aucseg.training import (
    CheckpointError,
    ConfigError,
    Record,
    RunConfig,
    SegmentationDataModule,
    SegmentationModule,
    checkpoint_path,
    evaluate,
    load_module,
    read_checkpoint,
    run_folder,
    train,
)
from tests.training.interrupted import StopAt

FILE = "last.ckpt"


def arm(name: str, **changes) -> RunConfig:
    config = get_experiment("long_tail_losses").config(name, "streets", "smoke")
    return config.with_(device="cpu", checkpoint_every=2, **changes)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a first stage and a second one of five steps, each in its place."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUCSEG_HOME", str(home))
        train(arm("baseline"), progress=False)
        RecordStore().put(train(second(), progress=False))
    return home


@pytest.fixture(autouse=True)
def _at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUCSEG_HOME", str(home))


def second(**changes) -> RunConfig:
    return arm("disalign", **{"optim__steps": 5} | changes)


def weights(config: RunConfig) -> dict[str, torch.Tensor]:
    return read_checkpoint(checkpoint_path(config))["state_dict"]


def test_it_takes_a_fortieth_of_the_steps_and_names_its_first_stage():
    first, config = (
        get_experiment("long_tail_losses").config(name, "streets", "laptop")
        for name in ("baseline", "disalign")
    )
    assert config.optim.steps == round(0.025 * first.optim.steps)
    assert config.init_from is not None
    assert config.init_from.run == first.identity


def test_only_the_alignment_is_trained():
    before, after = weights(arm("baseline")), weights(second())
    kept = [key for key in before if key.startswith("model.")]
    assert all(torch.equal(before[key], after[key]) for key in kept)  # running statistics too
    added = {key for key in after if key.startswith("model.")} - set(kept)
    assert {key.rpartition("segmentation_head.")[2].partition(".")[2] for key in added} == {
        "scale",
        "shift",
        "confidence.0.weight",
        *(
            f"confidence.1.{n}"
            for n in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        ),
    }
    fresh = SegmentationModule(second(), SegmentationDataModule(second()).classes)
    for name, value in classifier(fresh.model).alignment().items():
        moved = next(after[key] for key in added if key.endswith(name))
        assert not torch.equal(moved, value), name


def test_a_step_is_that_of_the_head_on_the_features_of_evaluation():
    """Its loss by hand: weights of the counts to the power -0.2, of mean 1, over all labelled pixels."""
    config = second()
    data = SegmentationDataModule(config)
    module = SegmentationModule(config, data.classes)
    images, target = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    module.train()
    found = module.method.step(module, (images, target))["loss"]
    assert not any(m.training for n, m in module.model.named_modules() if "confidence" not in n)
    assert classifier(module.model).confidence[1].training
    found.backward()
    moved = {n for n, p in module.model.named_parameters() if p.grad is not None}
    assert len(moved) == len(classifier(module.model).alignment())
    counts = torch.as_tensor(data.classes.pixels).double()
    power = torch.where(counts > 0, counts.pow(-0.2), 0)
    power *= (counts > 0).sum() / power.sum()
    module.model.eval()  # a scale of 1 and a shift of 0: whatever the confidence, as before
    logits = module(images).double()
    sum_ = F.cross_entropy(logits, target, weight=power, ignore_index=255, reduction="sum")
    torch.testing.assert_close(found.double(), sum_ / (target != 255).sum(), rtol=1e-5, atol=1e-6)


def test_a_resumed_second_stage_comes_to_the_same_record(tmp_path: Path):
    whole = RecordStore().get(second())
    assert whole is not None
    assert whole.config["init_from"]["run"] == arm("baseline").identity
    with pytest.raises(ConnectionError):
        train(second(), tmp_path, progress=False, callbacks=(StopAt(3),))
    said: list[str] = []
    assert train(second(), tmp_path, progress=False, report=said.append).same_result(whole)
    assert not any("starts from" in line for line in said)


def test_it_is_evaluated_without_its_first_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = RecordStore().get(second())
    path = shutil.copy(checkpoint_path(second()), tmp_path / FILE)
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    assert evaluate(path, progress=False) == whole.metrics
    assert classifier(load_module(path).model).shift.abs().sum() > 0


def test_a_file_counts_by_its_content(tmp_path: Path):
    path = Path(shutil.copy(checkpoint_path(arm("baseline")), tmp_path / "first.ckpt"))
    config = second(init_from=path)
    moved = Path(shutil.copy(path, tmp_path / "moved.ckpt"))
    assert second(init_from=str(moved)).identity == config.identity != second().identity
    record = train(config, tmp_path / "run", progress=False)
    assert record.config["init_from"]["path"] == "first.ckpt"
    assert record.metrics == RecordStore().get(second()).metrics
    assert Record.read(record.write(tmp_path / f"{record.identity}.json")).identity == config.identity
    pinned = config.pinned()
    path.write_bytes(path.read_bytes() + b" ")
    assert config.identity != pinned.identity  # other content is another run
    with pytest.raises(CheckpointError, match=r"init_from: is not the file of the configuration"):
        train(pinned, tmp_path / "again", progress=False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"init_from": "0" * 16}, r"init_from: run 0{16} has no checkpoint here; train it first"),
        ({"init_from": "nowhere.ckpt"}, r"nowhere\.ckpt"),
        (
            {"model__options": {"decoder_channels": (64, 48, 32, 24, 8)}},
            r"of another shape.*init_from|init_from.*of another shape",
        ),
        ({"model__head": "linear", "method__name": "supervised", "model__encoder": "resnet18"}, "missing"),
        ({"model__head": "linear"}, "set model.head to aligned"),
        (
            {"model__normalization": [[0, 0, 0], [1, 1, 1]]},
            "init_from: has a network whose images are normalised",
        ),
    ],
)
def test_what_it_cannot_start_from_is_said(tmp_path: Path, changes, words):
    import re

    with pytest.raises(Exception, match=re.compile(words, re.DOTALL)) as caught:
        train(second(**changes), tmp_path, progress=False)
    assert isinstance(caught.value, ConfigError | CheckpointError) or "nowhere" in words


def test_a_first_stage_of_other_classes_or_not_finished_is_refused(tmp_path: Path):
    content = read_checkpoint(checkpoint_path(arm("baseline")))
    content["aucseg"]["spec"]["names"][0] = "lane"
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"was trained on other classes.*'lane'"):
        train(second(init_from=tmp_path / "other.ckpt"), tmp_path / "run", progress=False)
    longer = arm("baseline", optim__steps=9)
    shutil.copytree(run_folder(arm("baseline")), run_folder(longer), dirs_exist_ok=True)
    content = read_checkpoint(checkpoint_path(arm("baseline")))
    content["aucseg"] |= {"identity": longer.identity, "config": longer.resolved().model_dump(mode="json")}
    torch.save(content, checkpoint_path(longer))
    with pytest.raises(CheckpointError, match=r"is of step 4 of 9; train that run to its end"):
        train(second(init_from=longer.identity), tmp_path / "run", progress=False)


def test_a_configuration_says_what_it_goes_on_from():
    content = arm("baseline").model_dump()
    for changes, words in (
        ({"method": {"name": "disalign"}}, "method 'disalign' goes on from another run: give init_from"),
        ({"init_from": 1234567890123456}, "put it in quotes"),
        ({"init_from": {"run": "0" * 16, "path": "a.ckpt"}}, "the identity of a run, or the path"),
    ):
        with pytest.raises(ConfigError, match=words):
            RunConfig.from_dict(content | changes)
    assert "init_from" not in arm("baseline").model_dump(exclude_defaults=True)


def test_a_sweep_trains_the_first_stage_first_and_again_where_its_checkpoint_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    store, said = RecordStore(), []
    first, config = (arm(name).pinned() for name in ("baseline", "disalign"))
    found = store.ensure([config, first], progress=False, report=said.append)
    assert all(found.values())
    assert any(line.startswith(f"{first.name} seed 0") and "is trained first" in line for line in said)
    record = store.get(first)
    checkpoint_path(first).unlink()
    store.path(config).unlink()
    checkpoint_path(config).unlink()
    said.clear()
    assert store.ensure([config], progress=False, report=said.append)[config.identity].same_result(
        found[config.identity]
    )
    assert any("has a record and no checkpoint: it is trained again" in line for line in said)
    assert store.get(first) == record
