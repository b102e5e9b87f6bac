"""The records in the repository: whole, in their place, and each wanted by a table."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import pytest

from aucseg.experiments import EXPERIMENTS, STARTS, RecordStore
from aucseg.streets import SyntheticStreets
from aucseg.training import Record, RunConfig, build_dataset

RECORDS = sorted(
    path
    for path in (Path(__file__).parents[2] / "data" / "records").glob("*/*.json")
    if path.parent.name != "smoke"
)


def test_every_record_keeps_its_name():
    """Whatever becomes of the code, a configuration that was recorded is the same run, written anew too."""
    assert len(RECORDS) >= 235
    for path in RECORDS:
        content = json.loads(path.read_text())
        config = RunConfig.from_dict(content["config"])
        assert config.identity == content["identity"] == path.stem
        assert RunConfig.from_dict(config.model_dump(mode="json")).identity == path.stem


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_record_is_whole_and_wanted(path):
    """A record that no table asks for is a leftover of an earlier configuration."""
    record = Record.read(path)
    content = json.loads(path.read_text())
    assert content["schema_version"] == 2, "written by an older version: Record.read(path).write(path)"
    assert content["checksum"]  # compared whenever it is read
    config = record.run_config
    assert RecordStore(path.parents[1]).path(config) == path
    assert "/" not in str(config.data.root or "")
    assert record.identity in _wanted(config.data.name, config.profile, config.seed)


@lru_cache
def _wanted(dataset: str, profile: str, seed: int) -> set[str]:
    """Identities of the runs that some table asks for: many records share the answer."""
    return {
        run.config.identity
        for experiment in EXPERIMENTS.values()
        if experiment.has(dataset)
        for start in (None, *STARTS)
        for run in experiment.runs(dataset, profile, [seed], start=start)
    }


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_groups_are_means_of_their_classes(path):
    """An independent sum over the classes gives the means that the tables show."""
    record = Record.read(path)
    iou, groups = (
        record.metrics["iou"],
        dict(zip(*(record.dataset[k] for k in ("classes", "groups")), strict=True)),
    )
    for key, members in [("mIoU", list(iou))] + [
        (f"mIoU_{g}", [c for c in iou if groups[c] == g]) for g in ("head", "middle", "tail")
    ]:
        values = [iou[name] for name in members if iou[name] is not None]
        if not values:  # two classes are no three groups
            assert not members
            assert record.metrics[key] is None
            continue
        assert record.metrics[key] == pytest.approx(sum(values) / len(values), rel=1e-9)


def test_recorded_streets_are_the_streets_of_today():
    """If the generator changed without a new version, the records would be of other pictures."""
    for path in RECORDS:
        record = Record.read(path)
        data = record.run_config.data
        if data.name == "streets":
            today = build_dataset(data, data.eval_split, data.eval_images)
            assert isinstance(today.dataset, SyntheticStreets)
            assert today.fingerprint() == record.dataset["eval_fingerprint"]
