"""CamVid: where it is looked for, and that the folder is CamVid."""

from __future__ import annotations

from pathlib import Path

import pytest

from aucseg.catalog import DATASETS, open_dataset
from aucseg.data.spec import load_spec
from aucseg.errors import DataError


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without CamVid: own working directory and project, no variables."""
    for variable in ("AUCSEG_CAMVID", "AUCSEG_HOME", "AUCSEG_SHARED"):
        monkeypatch.delenv(variable, raising=False)
    here = tmp_path / "deep" / "project"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


def test_explicit_root(tiny_camvid: Path) -> None:
    data = open_dataset("camvid", tiny_camvid, "val", size=(32, 48), cache=True)
    assert data.spec is not None
    assert data.spec == load_spec("camvid")
    assert data[0][0].shape == (3, 32, 48)
    assert len(data) == 2


def test_search_order(nowhere: Path, tiny_camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError) as caught:
        DATASETS["camvid"].locate()
    message = str(caught.value)
    assert "aucseg data get camvid" in message
    assert "AUCSEG_CAMVID" in message
    assert str(nowhere / "data" / "camvid") in message
    assert str(nowhere.parent / "shared" / "data" / "camvid") in message

    beside = nowhere.parent / "shared" / "data" / "camvid"
    (beside / "splits").mkdir(parents=True)
    assert DATASETS["camvid"].locate() == beside

    shared = tiny_camvid.parent / "pack"
    (shared / "data" / "camvid" / "splits").mkdir(parents=True)
    monkeypatch.setenv("AUCSEG_SHARED", str(shared))
    assert DATASETS["camvid"].locate() == shared / "data" / "camvid"

    (nowhere / "data" / "camvid" / "splits").mkdir(parents=True)
    assert DATASETS["camvid"].locate() == nowhere / "data" / "camvid"

    monkeypatch.setenv("AUCSEG_CAMVID", str(tiny_camvid))
    assert DATASETS["camvid"].locate() == tiny_camvid
    assert len(open_dataset("camvid", split="test")) == 2
    assert DATASETS["camvid"].locate(nowhere) == nowhere


def test_a_named_place_must_exist(nowhere: Path, tiny_camvid: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / "data" / "camvid" / "splits").mkdir(parents=True)
    with pytest.raises(DataError, match="missing: no such folder; correct the path"):
        open_dataset("camvid", tiny_camvid / "missing")
    monkeypatch.setenv("AUCSEG_CAMVID", str(tiny_camvid / "typo"))
    with pytest.raises(DataError, match=r"typo: no such folder \(from AUCSEG_CAMVID\)"):
        open_dataset("camvid")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "9,Pedestrian",
            "9,Pedestrain",
            "unknown class name 'Pedestrain' for 'camvid'; did you mean 'Pedestrian'",
        ),
        ("9,Pedestrian", "9,Unicorn", "unknown class name 'Unicorn' for 'camvid'; known: Sky, Building"),
        ("9,Pedestrian,64,64,0,0\n", "", "class 'Pedestrian' of 'camvid' is missing"),
        ("9,Pedestrian,64,64,0,0", "9,Pedestrian,64,64,0,1", "class 'Pedestrian' of 'camvid' is missing"),
    ],
)
def test_other_classes_are_refused(tiny_camvid: Path, old: str, new: str, message: str) -> None:
    path = tiny_camvid / "classes.csv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DataError, match=message):
        open_dataset("camvid", tiny_camvid)


def test_shared_pack(camvid_pack: Path) -> None:
    assert [len(open_dataset("camvid", camvid_pack, s)) for s in ("train", "val", "test")] == [367, 101, 233]
    image, mask = open_dataset("camvid", camvid_pack, "train")[0]
    assert image.shape == (3, 360, 480)
    assert mask.shape == (360, 480)
    assert set(mask.unique().tolist()) <= {*range(11), 255}
    small = open_dataset("camvid", camvid_pack, "train", size=(90, 120))
    assert small.fingerprint() == open_dataset("camvid", camvid_pack, "train").fingerprint()
    assert small.fingerprint() != open_dataset("camvid", camvid_pack, "test").fingerprint()
