"""Every data set, by name and by path, through every command, the library and a training."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from aucseg.catalog import DATASETS, Streets, detect, find_dataset, list_datasets, open_dataset, resolve
from aucseg.data.spec import load_spec
from aucseg.errors import DataError, OptionError, UserError
from aucseg.experiments import make_config
from aucseg.longtail import CountError, count, list_statistics, load_statistics
from aucseg.training import DataConfig, SegmentationDataModule
from tests.command import Result, aucseg
from tests.conftest import write_camvid
from tests.data.layouts.test_layouts import PATTERNS, folder
from tests.data.layouts.writers import EXPECTED, WRITERS

# What each command is asked with: a split that is there, thresholds that leave a tail of two classes.
COMMANDS = {
    "stats": ("data", "stats", "{data}", "--split", "{split}", "--json"),
    "verify": ("data", "verify", "{data}", "--json"),
    "tail": ("data", "tail", "{data}", "--split", "{split}", "--head", 0.97, "--tail", 0.96, "--json"),
    "odds": ("data", "odds", "{data}", "-b", 1, "--split", "{split}", "--json"),
    "prepare": ("data", "prepare", "{data}", "--dest", "{out}", "--json"),
    "bound": ("bound", "{data}", "--split", "all", "--json"),  # tau wants two images
}


@pytest.fixture(autouse=True)
def _few_streets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Streets, "number", 3)
    monkeypatch.setattr(Streets, "shape", (32, 48))


def written(name: str, root: Path) -> tuple[Path | None, str]:
    """A tiny data set of this name on disk, if it lies anywhere, and a split of it."""
    if DATASETS[name].drawn:
        return None, "train"
    if name in WRITERS:
        return WRITERS[name](root / name), EXPECTED[name][0]
    return write_camvid(root / name), "train"


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_every_data_set(
    name: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, split = written(name, tmp_path)
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path / "home"))
    targets: list[object] = [] if root is None else [root]
    if not DATASETS[name].needs_root:
        targets.append(name)
        monkeypatch.setenv(f"AUCSEG_{name.upper()}", str(root))
    for i, target in enumerate(targets):
        places = {"data": target, "split": split, "out": tmp_path / f"out{i}"}
        result = aucseg(*(str(word).format(**places) for word in COMMANDS[command]))
        assert result.exit_code == 0, result.output
        content = json.loads(result.stdout)
        if command == "stats":
            located = resolve(str(target))
            assert content["images"] == located.count(split).num_images
            assert [row["group"] for row in content["classes"]] == list(located.spec.groups)
        if command == "prepare":
            assert resolve(tmp_path / f"out{i}").verify().ok


@pytest.mark.parametrize("name", DATASETS)
def test_the_library_takes_every_data_set(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, split = written(name, tmp_path)
    number = 2 if split == "train" and name != "coco_stuff_10k" else 1
    monkeypatch.setenv(f"AUCSEG_{name.upper()}", str(root))
    entry = DATASETS[name]
    by_name = entry.open(split, root, size=(32, 48), num_images=number)
    by_path = open_dataset(name if root is None else root, split=split, size=(32, 48), num_images=number)
    assert len(by_name) == len(by_path) == number
    assert by_name.fingerprint() == by_path.fingerprint()
    assert by_name[0][0].shape == (3, 32, 48)
    assert count(by_name).same(count(by_path))
    assert entry.count(split, root).names == by_name.spec.names
    if entry.spec is not None:
        assert by_name.spec.names == entry.spec.names


@pytest.mark.parametrize("name", DATASETS)
def test_a_training_takes_every_data_set(name: str, tmp_path: Path) -> None:
    root, split = written(name, tmp_path)
    number = 1
    data = {"name": name, "root": root, "size": (32, 48), "train_split": split, "eval_split": split}
    data |= {"train_images": number, "eval_images": number, "tail_classes": "spec"}
    config = make_config("streets", "smoke").with_(data=data)
    module = SegmentationDataModule(config)
    assert module.describe()["train_images"] == number
    assert module.classes.num_images == number


@pytest.mark.parametrize("name", [n for n, e in DATASETS.items() if not e.drawn and n != "camvid"])
def test_an_experiment_takes_every_data_set(name: str, tmp_path: Path) -> None:
    root, split = written(name, tmp_path)
    by_path = make_config(str(root), "paper")
    by_name = make_config(name, "paper", root=str(root))
    assert by_path.data.name == by_name.data.name == name
    assert by_path.data.root == by_name.data.root == root
    assert by_path.identity == by_name.identity
    words = ("config", "--dataset", root, "--profile", "paper")
    assert f"name: {name}" in aucseg(*words).stdout
    data = {"train_split": split, "eval_split": split}
    assert make_config(name, "smoke", root=str(root), data=data).optim.steps == 4


def test_patterns(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine")
    words = ("--images", PATTERNS["images"], "--masks", PATTERNS["masks"], "--json")
    for command in ("stats", "verify"):
        split = ("--split", "all") if command == "stats" else ()
        assert aucseg("data", command, root, *split, *words).exit_code == 0
    assert resolve(root, **PATTERNS).count("all").num_images == 4
    config = DataConfig(name="folder", root=root, **PATTERNS)
    assert resolve(config.name, config.root, images=config.images, masks=config.masks).splits == ("all",)


def test_a_name_means_that_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of that name if it lies there; a folder that holds something else is left alone."""
    elsewhere = WRITERS["voc"](tmp_path / "elsewhere")
    monkeypatch.setenv("AUCSEG_VOC", str(elsewhere))
    monkeypatch.chdir(tmp_path)
    assert resolve("voc").label == str(elsewhere)
    for name in ("voc", "streets", "camvid"):
        WRITERS["ecssd"](tmp_path / name)
        assert resolve(name).entry is DATASETS[name]
        assert resolve(f"./{name}").entry is DATASETS["ecssd"]
    assert resolve("voc").label == str(elsewhere)
    shutil.rmtree(tmp_path / "voc")
    WRITERS["voc"](tmp_path / "voc")
    assert resolve("voc").label == "voc"


def test_a_folder_tells_what_it_holds(tmp_path: Path) -> None:
    root = WRITERS["ecssd"](tmp_path / "mine")
    assert resolve(root).entry is DATASETS["ecssd"]
    assert resolve(root, kind="hku_is").entry is DATASETS["hku_is"]
    assert "mine is taken for ecssd, by the names of its folders; --as says otherwise" in resolve(root).note
    assert resolve(root, kind="ecssd").note == resolve("ecssd", root).note == ""
    (root / "ground_truth_mask").rename(root / "masks")
    with pytest.raises(DataError, match="this could be ecssd, hku_is or pascal_s; say which, with --as"):
        resolve(root)
    root = root.rename(tmp_path / "PASCAL-S")
    assert detect(root) is DATASETS["pascal_s"]  # alike but for the name of the folder
    (tmp_path / "empty").mkdir()
    assert detect(tmp_path / "empty") is None
    assert resolve(tmp_path / "empty").entry is DATASETS["folder"]


OWN = "id,name,r,g,b,ignore\n0,road,0,0,0,0\n1,kerb,1,0,0,0\n2,car,2,0,0,0\n3,sign,3,0,0,0\n"


@pytest.mark.parametrize("name", [name for name in WRITERS if name not in ("ccp", "cityscapes")])
@pytest.mark.parametrize("form", [OWN, "value,label\n0,road\n", "id,name\n0,road\n1,kerb\n"])
def test_classes_of_ones_own_beat_the_names_of_folders(name: str, form: str, tmp_path: Path) -> None:
    """A folder whose classes.csv speaks of other classes is no published set, however its folders look."""
    root = WRITERS[name](tmp_path / name)
    assert detect(root) is DATASETS[name]
    assert DATASETS[name].layout is not None
    place = DATASETS[name].layout.find(root)
    assert place is not None
    (place / "classes.csv").write_text(form)
    assert detect(root) is None
    located = resolve(root)
    assert (located.entry, located.note) == (DATASETS["folder"], "")
    assert resolve(root, kind=name).splits == resolve(name, root).splits  # who says so is believed
    table = "id,name,mask_value\n" + "".join(f"{i},{n},0\n" for i, n in enumerate(load_spec_of(name)))
    (place / "classes.csv").write_text(table)
    assert detect(root) is DATASETS[name]  # a table of the publisher's own


def load_spec_of(name: str) -> tuple[str, ...]:
    spec = DATASETS[name].spec
    assert spec is not None
    return spec.names


def test_a_folder_of_several_sets(tmp_path: Path) -> None:
    for name in ("voc", "ade20k"):
        WRITERS[name](tmp_path)
    with pytest.raises(DataError, match="this could be ade20k or voc; say which, with --as"):
        resolve(tmp_path)
    assert resolve(tmp_path, kind="voc").splits == ("train", "trainval", "val")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^no data 'cityscape'; give a folder or one of streets.*did you mean"
    ):
        resolve("cityscape")
    with pytest.raises(DataError, match=r"^no/where: no such folder"):
        resolve("no/where")
    with pytest.raises(OptionError, match=r"is a folder, and root \('train'\) .*split=NAME"):
        open_dataset(tmp_path, "train")
    with pytest.raises(OptionError, match="unknown data set 'vox'; did you mean 'voc'"):
        find_dataset("vox")
    for ask, message in (
        (lambda: resolve("streets", "data"), "has no folder"),
        (lambda: resolve("folder"), "needs root"),
        (lambda: open_dataset("streets"), "streets are drawn: say how many images"),
        (lambda: open_dataset("streets", split="tests", num_images=1), "no split 'tests'; use one of train"),
        (lambda: resolve("streets").keep(), "'streets' keeps no counts"),
        (lambda: DATASETS["streets"].locate(), "is drawn and lies nowhere"),
        (lambda: DATASETS["streets"].get(), "'streets' is not fetched"),
        (lambda: DATASETS["cityscapes"].get(), "not downloaded automatically; Cityscapes: free for"),
        (lambda: DATASETS["camvid"].open("train", "no/where"), "no/where: no such folder"),
    ):
        with pytest.raises(UserError, match=message):
            ask()


def test_more_images_than_there_are(tiny_camvid: Path) -> None:
    with pytest.raises(OptionError, match="split 'train' holds 4 images, 5 were asked for"):
        open_dataset("camvid", tiny_camvid, num_images=5)
    assert open_dataset("camvid", tiny_camvid, num_images=3).names == ("train_000", "train_001", "train_002")


def test_entries_say_what_they_are() -> None:
    assert list_datasets() == tuple(DATASETS)
    assert [name for name, entry in DATASETS.items() if entry.drawn] == ["streets"]
    assert [name for name, entry in DATASETS.items() if entry.needs_root] == ["folder"]
    assert {name for name, entry in DATASETS.items() if entry.automatic} == {"camvid", "ade20k", "voc"}
    assert {name for name, entry in DATASETS.items() if entry.version is not None} == {"streets"}
    for name, entry in DATASETS.items():
        assert entry.name == name
        assert (entry.statistics is not None) == (name in list_statistics())
    assert DATASETS["camvid"].spec == load_spec("camvid")


def test_what_is_known(tiny_camvid: Path, tmp_path: Path) -> None:
    """Published statistics by name, counted masks by path, sums where the masks are gone."""
    published = resolve("cityscapes").known()
    assert published.published == "cityscapes"
    assert published.tally.pixels.tolist() == load_statistics("cityscapes").pixels.tolist()
    root = WRITERS["cityscapes"](tmp_path / "cityscapes")
    counted = resolve(root).known()
    assert (counted.origin, counted.published) == ("2 masks of train", None)
    located = resolve(tiny_camvid)
    whole = located.known(write=True)
    assert whole.file == tiny_camvid / "mask_counts_train.npz"
    assert [path.name for path in located.keep()] == [
        "class_stats.csv",
        *(f"mask_counts_{split}.npz" for split in ("train", "val", "test")),
    ]
    for path in (tiny_camvid / "annotations/train").iterdir():
        path.unlink()
    (tiny_camvid / "annotations/train").rmdir()
    sums = resolve(tiny_camvid).known()
    assert sums.origin == "class_stats.csv"
    assert sums.masks is None
    assert sums.tally.presence is None
    assert sums.tally.pixels.tolist() == whole.tally.pixels.tolist()
    assert sums.tally.images.tolist() == whole.tally.images.tolist()


def test_kept_counts_are_taken_up_and_go_along_with_the_folder(tiny_camvid: Path) -> None:
    whole = resolve(tiny_camvid)
    whole.keep(regions=True)
    expected = whole.count("val", regions=True)
    moved = tiny_camvid.rename(tiny_camvid.with_name("moved"))
    mask = moved / "annotations/val/val_001.png"
    state = mask.stat()
    mask.write_bytes(b"x" * state.st_size)
    os.utime(mask, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert resolve(moved).count("val", regions=True).same(expected)  # the mask was not opened
    os.utime(mask, ns=(1, 1))
    with pytest.raises(CountError, match="unreadable mask"):
        resolve(moved).count("val", regions=True)


def test_all_splits_together(tiny_camvid: Path) -> None:
    located = resolve(tiny_camvid)
    whole = located.count("all")
    parts = [located.count(split) for split in located.splits]
    assert whole.num_images == 8
    assert whole.pixels.tolist() == np.sum([part.pixels for part in parts], axis=0).tolist()
    assert located.known("all").masks is None


def run(*words: object) -> Result:
    return aucseg("data", *words)


def test_prepared_streets_are_those_drawn(tmp_path: Path) -> None:
    assert run("prepare", "streets", "--dest", tmp_path / "out", "--split", "val").exit_code == 0
    assert "0 items written, 3 were there" in run("prepare", "streets", "--dest", tmp_path / "out").stdout
    drawn, written = (
        open_dataset("streets", split="val", size=(32, 48), num_images=3),
        resolve(tmp_path / "out"),
    )
    read = written.open("val")
    assert written.splits == ("train", "val", "test")
    assert read.spec.names == drawn.spec.names
    assert read.spec.groups == drawn.spec.groups
    for (image, mask), (other, other_mask) in zip(read, drawn, strict=True):
        assert np.array_equal(image, other)
        assert np.array_equal(mask, other_mask)
    assert (
        "prepared from another"
        in run("prepare", "streets", "--dest", tmp_path / "out", "--size", 32, 64).stderr
    )
