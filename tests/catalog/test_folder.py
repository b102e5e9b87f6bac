"""Folder data sets: items, label maps, and each kind of bad input."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch._utils import ExceptionWrapper
from torchvision import tv_tensors

from aucseg.catalog import open_dataset
from aucseg.data.dataset import resize_item
from aucseg.data.layouts.own import read_split
from aucseg.data.spec import ClassSpec, load_spec
from aucseg.errors import DataError


def write_mask(root: Path, array: np.ndarray, name: str = "train_000") -> None:
    Image.fromarray(array).save(root / "annotations" / "train" / f"{name}.png")


def read_mask(root: Path, name: str = "train_000") -> np.ndarray:
    return np.array(Image.open(root / "annotations" / "train" / f"{name}.png"))


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_items_are_tv_tensors_with_void_255(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    image, mask = data[0]
    assert len(data) == 4
    assert isinstance(image, tv_tensors.Image)
    assert isinstance(mask, tv_tensors.Mask)
    assert image.dtype == mask.dtype == torch.uint8
    assert image.shape == (3, 64, 96)
    file = read_mask(tiny_camvid)
    np.testing.assert_array_equal(mask.numpy(), np.where(file == 11, 255, file))
    np.testing.assert_array_equal(
        image.numpy(), np.array(Image.open(tiny_camvid / "images/train/train_000.jpg")).transpose(2, 0, 1)
    )
    assert len(list(data)) == 4
    torch.testing.assert_close(data[-1][1], data[3][1])
    with pytest.raises(IndexError, match="index 4 out of range for 4 items"):
        data[4]


def test_spec_from_the_folder_counts_the_training_masks(tiny_camvid: Path) -> None:
    spec = open_dataset("folder", tiny_camvid, "val").spec
    assert spec.names == load_spec("camvid").names
    pixels = np.bincount(
        np.concatenate([read_mask(tiny_camvid, n).ravel() for n in read_split(tiny_camvid, "train")]),
        minlength=12,
    )[:11]
    np.testing.assert_allclose(spec.pixel_share, pixels / pixels.sum())
    expected = ["head" if s >= 0.1 else "tail" if s < 0.02 else "middle" for s in pixels / pixels.sum()]
    assert list(spec.groups) == expected
    assert spec.image_share[10] == 0.25


def test_groups_from_class_stats_or_the_column(tiny_camvid: Path) -> None:
    names = load_spec("camvid").names
    rows = [f"{n},{20 if i < 4 else 1}" for i, n in enumerate(names)]
    (tiny_camvid / "class_stats.csv").write_text("name,train_pct_labelled\n" + "\n".join(rows) + "\n")
    assert open_dataset("folder", tiny_camvid, "train").spec.groups == ("head",) * 4 + ("tail",) * 7
    lines = (tiny_camvid / "classes.csv").read_text().splitlines()
    (tiny_camvid / "classes.csv").write_text(
        "\n".join([lines[0] + ",group", *(line + ",middle" for line in lines[1:])])
    )
    assert open_dataset("folder", tiny_camvid, "train").spec.groups == ("middle",) * 11
    replace_text(tiny_camvid / "classes.csv", "Sky,128,128,128,0,middle", "Sky,128,128,128,0,big")
    with pytest.raises(DataError, match="'Sky' has the group 'big'; use one of head, middle, tail"):
        open_dataset("folder", tiny_camvid, "train")


def test_groups_that_cannot_be_known(tiny_camvid: Path) -> None:
    (tiny_camvid / "splits" / "train.txt").unlink()
    with pytest.raises(DataError, match="add the column group"):
        open_dataset("folder", tiny_camvid, "val")
    (tiny_camvid / "class_stats.csv").write_text("name,train_pct_labelled\nSky,10\n")
    with pytest.raises(DataError, match=r"no train_pct_labelled for class 'Building'; .*--write"):
        open_dataset("folder", tiny_camvid, "val")


def test_file_ids_map_to_train_ids_by_name(tiny_camvid: Path) -> None:
    """A void row first, gaps in the ids, and a spec in another order."""
    (tiny_camvid / "classes.csv").write_text(
        "id,name,r,g,b,ignore\n0,nothing,0,0,0,1\n7,car,1,1,1,0\n3,road,2,2,2,0\n200,tree,3,3,3,0\n"
    )
    ids = np.array([[0, 7], [3, 200], [255, 7]], np.uint8)
    Image.fromarray(np.zeros((3, 2, 3), np.uint8)).save(tiny_camvid / "images/train/train_000.jpg")
    for name in read_split(tiny_camvid, "train"):
        write_mask(tiny_camvid, ids, name)
    assert open_dataset("folder", tiny_camvid, "train")[0][1].tolist() == [[255, 0], [1, 2], [255, 0]]
    spec = ClassSpec("mine", ("tree", "car", "road"), ((0, 0, 0),) * 3, ("head",) * 3)
    assert open_dataset("folder", tiny_camvid, "train", spec=spec)[0][1].tolist() == [
        [255, 1],
        [2, 0],
        [255, 1],
    ]


def test_without_class_table_a_spec_is_enough(tiny_camvid: Path) -> None:
    (tiny_camvid / "classes.csv").unlink()
    with pytest.raises(DataError, match=r"classes\.csv: no such file; .*or pass a spec"):
        open_dataset("folder", tiny_camvid, "train")
    data = open_dataset("folder", tiny_camvid, "train", spec=load_spec("camvid"))
    with pytest.raises(DataError, match=r"train_000\.png: label outside the classes: 11 .* 0 to 10, 255"):
        data[0]


@pytest.mark.parametrize("suffix", [".png", ".jpeg"])
def test_image_suffixes_and_modes(tiny_camvid: Path, suffix: str) -> None:
    old = tiny_camvid / "images/train/train_000.jpg"
    Image.open(old).convert("L").save(old.with_suffix(suffix))
    with pytest.raises(DataError, match="is there too; keep one"):
        open_dataset("folder", tiny_camvid, "train")
    old.unlink()
    image, _ = open_dataset("folder", tiny_camvid, "train")[0]
    assert image.shape == (3, 64, 96)
    torch.testing.assert_close(image[0], image[2])


@pytest.mark.parametrize("mode", ["P", "RGB", "RGBA", "I;16"])
def test_other_mask_modes_give_the_same_labels(tiny_camvid: Path, mode: str) -> None:
    expected = open_dataset("folder", tiny_camvid, "train")[0][1]
    ids = read_mask(tiny_camvid)
    palette = np.array([*load_spec("camvid").colors, (0, 0, 0)], np.uint8)
    path = tiny_camvid / "annotations/train/train_000.png"
    if mode == "P":
        picture = Image.fromarray(ids)
        picture.putpalette(palette.ravel().tolist())
        picture.save(path)
    elif mode == "I;16":
        Image.fromarray(ids.astype(np.uint16)).save(path)
    else:
        Image.fromarray(palette[ids]).convert(mode).save(path)
    with Image.open(path) as saved:
        assert saved.mode == mode
    torch.testing.assert_close(open_dataset("folder", tiny_camvid, "train")[0][1], expected)


def test_resize_against_pixel_centres(tiny_camvid: Path) -> None:
    """Oracle: the mask pixel that holds each new centre, found by index arithmetic."""
    full = open_dataset("folder", tiny_camvid, "train")[1]
    image, mask = open_dataset("folder", tiny_camvid, "train", size=(24, 40))[1]
    assert image.shape == (3, 24, 40)
    assert isinstance(image, tv_tensors.Image)
    rows = ((np.arange(24) + 0.5) * 64 / 24).astype(int)
    columns = ((np.arange(40) + 0.5) * 96 / 40).astype(int)
    np.testing.assert_array_equal(mask.numpy(), full[1].numpy()[np.ix_(rows, columns)])
    assert abs(float(image.float().mean()) - float(full[0].float().mean())) < 2
    with pytest.raises(ValueError, match=r"\(height, width\).*got \(0, 4\)"):
        open_dataset("folder", tiny_camvid, "train", size=(0, 4))


def test_resize_keeps_a_constant_image() -> None:
    image, mask = resize_item(torch.full((3, 10, 14), 77).byte(), torch.full((10, 14), 5).byte(), (7, 5))
    assert image.unique().tolist() == [77]
    assert mask.unique().tolist() == [5]


def test_cache_gives_equal_items_that_are_copies(tiny_camvid: Path) -> None:
    plain = open_dataset("folder", tiny_camvid, "train", size=(32, 48))
    cached = open_dataset("folder", tiny_camvid, "train", size=(32, 48), cache=True)
    first = [plain[i] for i in range(4)]
    shutil.rmtree(tiny_camvid / "images")
    for i in range(4):
        image, mask = cached[i]
        torch.testing.assert_close(image, first[i][0])
        torch.testing.assert_close(mask, first[i][1])
        image.zero_()
        mask.fill_(255)
    torch.testing.assert_close(cached[0][0], first[0][0])
    torch.testing.assert_close(cached[0][1], first[0][1])


def test_cache_finds_a_bad_file_at_once(tiny_camvid: Path) -> None:
    path = tiny_camvid / "images/train/train_002.jpg"
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train_002\.jpg: unreadable image"):
        open_dataset("folder", tiny_camvid, "train", cache=True)


def test_fingerprint_follows_content_only(tiny_camvid: Path, tmp_path: Path) -> None:
    first = open_dataset("folder", tiny_camvid, "train").fingerprint()
    assert len(first) == 64
    int(first, 16)
    moved = tmp_path / "elsewhere"
    shutil.copytree(tiny_camvid, moved)
    assert open_dataset("folder", moved, "train", size=(8, 8), cache=True).fingerprint() == first
    assert open_dataset("folder", moved, "val").fingerprint() != first

    names = (moved / "splits/train.txt").read_text()
    (moved / "splits/train.txt").write_text("\n".join(reversed(names.split())))
    assert open_dataset("folder", moved, "train").fingerprint() != first
    (moved / "splits/train.txt").write_text(names)
    assert open_dataset("folder", moved, "train").fingerprint() == first

    mask = read_mask(moved)
    mask[0, 0] = 0
    write_mask(moved, mask)
    assert open_dataset("folder", moved, "train").fingerprint() != first
    shutil.copy(tiny_camvid / "annotations/train/train_000.png", moved / "annotations/train/train_000.png")
    replace_text(moved / "classes.csv", "10,Bicyclist,0,128,192,0", "10,Bicyclist,0,128,192,1")
    assert open_dataset("folder", moved, "train").fingerprint() != first


# ---- bad input -------------------------------------------------------------------------------------


def test_missing_root_split_and_empty_split(tiny_camvid: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder; check the path"):
        open_dataset("folder", tiny_camvid / "nowhere", "train")
    with pytest.raises(DataError, match=r"trian\.txt: no such split file; splits found: train, val, test"):
        open_dataset("folder", tiny_camvid, "trian")
    (tiny_camvid / "splits/train.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"train\.txt: the split is empty"):
        open_dataset("folder", tiny_camvid, "train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train_000\ntrain_000\n", "'train_000' stands there 2 times"),
        ("../secret\n", "leads outside the folder"),
    ],
)
def test_bad_names_in_a_split(tiny_camvid: Path, text: str, message: str) -> None:
    (tiny_camvid / "splits/train.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        open_dataset("folder", tiny_camvid, "train")


def test_names_with_dots_and_folders(tiny_camvid: Path) -> None:
    for kind, suffix in (("images", ".jpg"), ("annotations", ".png")):
        (tiny_camvid / kind / "train/aachen").mkdir()
        old = tiny_camvid / kind / f"train/train_000{suffix}"
        old.rename(tiny_camvid / kind / f"train/aachen/frame.0001{suffix}")
    replace_text(tiny_camvid / "splits/train.txt", "train_000", "aachen/frame.0001")
    assert open_dataset("folder", tiny_camvid, "train")[0][0].shape == (3, 64, 96)


def test_missing_image_and_mask(tiny_camvid: Path) -> None:
    (tiny_camvid / "images/train/train_001.jpg").unlink()
    with pytest.raises(DataError, match=r"train_001\.jpg: missing image .*take 'train_001' out of"):
        open_dataset("folder", tiny_camvid, "train")
    (tiny_camvid / "annotations/val/val_001.png").unlink()
    with pytest.raises(DataError, match=r"val_001\.png: missing mask; add it or take"):
        open_dataset("folder", tiny_camvid, "val")


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        *((kind, damage) for kind in ("images", "annotations") for damage in ("empty", "text", "cut")),
        ("annotations", "flipped"),  # a JPEG carries no checksum: there a flipped byte is another picture
    ],
)
def test_unreadable_files(tiny_camvid: Path, kind: str, damage: str) -> None:
    path = next((tiny_camvid / kind / "train").glob("train_000.*"))
    data = path.read_bytes()
    middle = len(data) // 2
    changed = {
        "empty": b"",
        "text": b"this is not an image at all",
        "cut": data[:middle],
        "flipped": data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :],
    }
    dataset = open_dataset("folder", tiny_camvid, "train")
    path.write_bytes(changed[damage])
    with pytest.raises(DataError, match=rf"{path.name}: unreadable (image|mask) .*; fetch or export"):
        dataset[0]


def test_image_with_16_bits(tiny_camvid: Path) -> None:
    Image.fromarray(np.full((64, 96), 40000, np.uint16)).save(tiny_camvid / "images/train/train_000.png")
    (tiny_camvid / "images/train/train_000.jpg").unlink()
    with pytest.raises(DataError, match=r"train_000\.png: image of mode 'I;16'; save it with 8 bits"):
        open_dataset("folder", tiny_camvid, "train")[0]


def test_mask_of_another_size(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    write_mask(tiny_camvid, read_mask(tiny_camvid)[:50])
    with pytest.raises(DataError, match=r"train_000\.png: the mask is 96x50 but its image .* is 96x64"):
        data[0]


def test_label_outside_the_classes(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    mask = read_mask(tiny_camvid)
    mask[3, :2] = 12
    mask[5, 5] = 40
    write_mask(tiny_camvid, mask)
    with pytest.raises(
        DataError,
        match=r"train_000\.png: .*: 12 \(2 pixels\), 40 \(1 pixels\); allowed are 0 to 11, 255",
    ):
        data[0]


def test_wide_mask_values(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    write_mask(tiny_camvid, np.full((64, 96), 11001, np.uint16))
    with pytest.raises(DataError, match=r"train_000\.png: value 11001 .*instance or panoptic ids"):
        data[0]


def test_unknown_colour_of_a_colour_mask(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    rgb = np.full((64, 96, 3), 128, np.uint8)
    rgb[2, 9] = (1, 2, 3)
    write_mask(tiny_camvid, rgb)
    with pytest.raises(DataError, match=r"train_000\.png: colour \(1, 2, 3\) at x=9, y=2 is not in classes"):
        data[0]
    replace_text(tiny_camvid / "classes.csv", "1,Building,128,0,0", "1,Building,128,128,128")
    with pytest.raises(DataError, match=r"classes\.csv: 'Sky' and 'Building' have the same colour"):
        open_dataset("folder", tiny_camvid, "train", spec=load_spec("camvid"))[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id,name,r", "id,label,r", "no column 'name'"),
        ("0,Sky,128", "zero,Sky,128", "line 2 is not whole numbers"),
        ("0,Sky,128", "0,Sky,300", "line 2: .*r, g and b are 0 to 255"),
        ("0,Sky,", "0,,", "line 2: .*name is not empty"),
        ("1,Building", "0,Building", "id 0 stands in 2 rows"),
        ("1,Building", "1,Sky", "name 'Sky' stands in 2 rows"),
    ],
)
def test_bad_class_table(tiny_camvid: Path, old: str, new: str, message: str) -> None:
    replace_text(tiny_camvid / "classes.csv", old, new)
    with pytest.raises(DataError, match=message):
        open_dataset("folder", tiny_camvid, "train")


def test_class_table_with_too_few_or_too_many_classes(tiny_camvid: Path) -> None:
    head = "id,name,r,g,b,ignore\n"
    (tiny_camvid / "classes.csv").write_text(head + "0,Sky,1,1,1,0\n1,Void,0,0,0,1\n")
    with pytest.raises(DataError, match="1 rows with ignore=0; a label set needs at least 2"):
        open_dataset("folder", tiny_camvid, "train")
    (tiny_camvid / "classes.csv").write_text(head + "".join(f"{i},c{i},0,0,0,0\n" for i in range(256)))
    with pytest.raises(DataError, match="256 classes; 8-bit masks hold at most 255"):
        open_dataset("folder", tiny_camvid, "train")


def test_an_error_survives_a_loader_worker(tiny_camvid: Path) -> None:
    data = open_dataset("folder", tiny_camvid, "train")
    (tiny_camvid / "images/train/train_003.jpg").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        data[3]
    error = caught.value
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.file, copy.remedy) == (str(error), error.file, error.remedy)
    # what a loader worker sends to the main process, which makes the error anew from its message
    wrapped = ExceptionWrapper((caught.type, error, caught.tb), where="in a worker")
    with pytest.raises(DataError, match=r"train_003\.jpg: unreadable image"):
        wrapped.reraise()


def test_camvid_pack_groups_agree_with_the_shipped_ones(camvid_pack: Path) -> None:
    ours, shipped = (
        open_dataset("folder", camvid_pack, "train").spec,
        open_dataset("camvid", camvid_pack).spec,
    )
    assert ours.groups == shipped.groups
    np.testing.assert_allclose(ours.pixel_share, shipped.pixel_share, atol=1e-6)
