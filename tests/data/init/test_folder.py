"""From a stranger's folder to a data set that verifies and loads, with nothing written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from aucseg.catalog import init_folder, open_dataset, resolve
from aucseg.data.classes import read_classes
from aucseg.data.init import InitReport, init
from aucseg.data.layouts.voc import interleaved_palette
from aucseg.errors import DataError, OptionError
from tests.data.layouts.annotated import coco_file, labelme_file, pictures, square
from tests.data.layouts.writers import HEIGHT, WIDTH, ade20k, cityscapes, label, picture, stripes

NUMBER = 12
COLORS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)], np.uint8)


def ids(i: int) -> np.ndarray:
    """Ids 0 and one of 1, 2, 3."""
    return stripes(0, 0, 0, 1 + i % 3)


def binary(i: int, value: int = 255) -> np.ndarray:
    return np.where(ids(i) > 0, value, 0).astype(np.uint8)


def many(root: Path, images: str, masks: str, mask: Callable[[int], Any] = ids, number: int = NUMBER) -> Path:
    """Some images and masks, with ``%`` for their numbers."""
    for i in range(number):
        picture(root / images.replace("%", f"{i:03d}"), i)
        label(root / masks.replace("%", f"{i:03d}"), mask(i))
    return root


def check(root: Path, report: InitReport, names: list[str], splits: dict[str, int]) -> None:
    """The folder verifies, each of its classes has pixels, and a batch of it loads."""
    assert [value.row.name for value in report.classes] == names
    assert {split: len(items) for split, items in report.splits.items()} == splits
    located = resolve(root)
    assert located.spec.names == tuple(names)
    verified = located.verify()
    assert verified.ok, verified.problems
    assert verified.splits == splits
    assert sum(verified.pixels.values()).min() > 0
    images, masks = next(iter(DataLoader(open_dataset(root), batch_size=2)))
    assert images.shape == (2, 3, HEIGHT, WIDTH)
    assert set(masks.unique().tolist()) <= {*range(len(names)), 255}
    assert not report.problems


CUT = {"train": 9, "val": 1, "test": 2}
FOUR = ["class_0", "class_1", "class_2", "class_3"]
NAMED = ["background", "class_1", "class_2", "class_3"]
TWO = ["background", "foreground"]


@pytest.mark.parametrize(
    ("images", "masks", "mask", "names"),
    [
        ("images/%.jpg", "masks/%.png", ids, FOUR),
        ("imgs/%_img.jpg", "gts/%_gt.png", ids, FOUR),
        ("photo/image_%.png", "ground truth/mask_%.png", ids, FOUR),
        ("data/JPEGImages/%.jpg", "data/SegmentationClass/%.png", ids, FOUR),
        ("A/%.png", "B/%.png", ids, FOUR),
        ("%.png", "%_mask.png", binary, TWO),
        ("%.jpg", "%.png", ids, FOUR),
        ("p7/%.tif", "p7/%_mask.tif", lambda i: binary(i, 1), TWO),
        ("images/%.jpg", "labels/%.png", lambda i: COLORS[ids(i)], NAMED),
        ("images/%.jpg", "labels/%.bmp", lambda i: np.repeat(binary(i)[..., None], 3, 2), TWO),
        ("images/%.jpg", "labels/%.png", lambda i: binary(i).astype(bool), TWO),
    ],
    ids=lambda value: value if isinstance(value, str) and "%" in value else "",
)
def test_images_and_masks(
    tmp_path: Path, images: str, masks: str, mask: Callable[[int], Any], names: list[str]
) -> None:
    report = init(many(tmp_path, images, masks, mask))
    check(tmp_path, report, names, CUT)
    assert report.description.layout == "patterns"
    assert {path.name for path in report.written} == {
        "aucseg.yaml",
        "classes.csv",
        *(f"{s}.txt" for s in CUT),
    }


def test_folders_of_splits_are_respected(tmp_path: Path) -> None:
    for folder, number in (("train", 5), ("valid", 3), ("test", 3)):
        many(tmp_path, f"{folder}/images/%.jpg", f"{folder}/masks/%.png", number=number)
    report = init(tmp_path)
    check(tmp_path, report, FOUR, {"train": 5, "val": 3, "test": 3})
    assert report.description.splits == {"train": "train", "val": "valid", "test": "test"}
    assert not (tmp_path / "splits").exists()


@pytest.mark.parametrize("others", [{}, {"test": 3}])
def test_what_is_missing_of_the_splits_is_cut_from_the_training_folder(
    tmp_path: Path, others: dict[str, int]
) -> None:
    for folder, number in {"train": 12, **others}.items():
        many(tmp_path, f"images/{folder}/%.jpg", f"labels/{folder}/%.png", number=number)
    report = init(tmp_path)
    check(tmp_path, report, FOUR, {"train": 11, "val": 1, "test": 3} if others else CUT)
    assert "cut from folder train" in report.split_origin


def test_a_test_folder_without_masks_is_left_out(tmp_path: Path) -> None:
    many(tmp_path, "train/images/%.jpg", "train/masks/%.png")
    pictures(tmp_path / "test" / "images", 4)
    report = init(tmp_path)
    check(tmp_path, report, FOUR, CUT)
    assert any("4 images have no mask and are left out" in note for note in report.notes)


def test_the_packages_own_layout_needs_no_description(tmp_path: Path) -> None:
    for folder, number in (("train", 5), ("val", 3)):
        many(tmp_path, f"images/{folder}/%.jpg", f"annotations/{folder}/%.png", number=number)
    report = init(tmp_path)
    check(tmp_path, report, FOUR, {"train": 5, "val": 3})
    assert report.own
    assert not (tmp_path / "aucseg.yaml").exists()
    assert resolve(tmp_path).layout.name == "folder"


@pytest.mark.parametrize("place", ["ImageSets/Segmentation", ".", "lists"])
def test_lists_of_other_programs_are_respected(tmp_path: Path, place: str) -> None:
    many(
        tmp_path, "JPEGImages/%.jpg", "SegmentationClass/%.png", lambda i: np.where(ids(i) == 3, 255, ids(i))
    )
    many(tmp_path, "JPEGImages/%.jpg", "SegmentationObject/%.png")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for split, numbers in (("train", range(7)), ("val", range(7, 12)), ("trainval", range(12))):
        lines = [f"JPEGImages/{i:03d}.jpg SegmentationClass/{i:03d}.png\n" for i in numbers]
        (tmp_path / place / f"{split}.txt").write_text("".join(lines))
    report = init(tmp_path)
    check(tmp_path, report, FOUR[:3], {"train": 7, "val": 5})
    assert report.split_origin == f"lists in {place}"
    (void,) = [value for value in report.values if value.row.ignore]
    assert (void.told, void.row.name) == ("255", "void")
    assert void.why == "255 beside ids up to 2 is what most programs write for void"


def test_roboflow(tmp_path: Path) -> None:
    for folder in ("train", "valid"):
        many(tmp_path, f"{folder}/%_jpg.rf.0a.jpg", f"{folder}/%_jpg.rf.0a_mask.png", number=6)
        names = "Pixel Value, Class\n 0, background\n 1, cat\n 2, dog\n 3, Void\n 4, never\n"
        (tmp_path / folder / "_classes.csv").write_text(names)
    report = init(tmp_path)
    check(tmp_path, report, ["background", "cat", "dog"], {"train": 6, "val": 6})
    assert report.names == "train/_classes.csv"
    assert report.values[3].why == "it is called 'Void'"
    (tmp_path / "valid" / "_classes.csv").write_text(names.replace("cat", "cow"))
    with pytest.raises(DataError, match=r"valid/_classes.csv: and train/_classes.csv name the classes diff"):
        init(tmp_path, overwrite=True)


@pytest.mark.parametrize("palette", [True, False])
def test_cvat(tmp_path: Path, palette: bool) -> None:
    """Masks of colours, or of numbers with those colours as palette."""

    def mask(i: int) -> Any:
        if not palette:
            return COLORS[ids(i)]
        picture = Image.fromarray(ids(i))
        picture.putpalette(COLORS.tobytes())
        return picture

    for i in range(NUMBER):
        picture(tmp_path / f"JPEGImages/{i:03d}.jpg", i)
        place = tmp_path / f"SegmentationClass/{i:03d}.png"
        place.parent.mkdir(exist_ok=True)
        made = mask(i)
        (made if palette else Image.fromarray(made)).save(place)
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nsea:0,0,255::\nbackground:0,0,0::\nrock:255,0,0::\nsand:0,255,0::\n"
    )
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "default.txt").write_text("000\n")
    report = init_folder(tmp_path)
    names = ["background", "rock", "sand", "sea"]
    check(tmp_path, report, names if palette else ["sea", *names[:3]], CUT)
    colors = {row.name: row.color for row in read_classes(tmp_path).rows}
    assert colors == dict(zip(names, map(tuple, COLORS.tolist()), strict=True))


def test_colours_that_are_not_in_the_table(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "labels/%.png", lambda i: COLORS[ids(i)])
    (tmp_path / "class_dict.csv").write_text("name,r,g,b\nsea,0,0,255\nrock,255,0,0\nbackground,0,0,0\n")
    with pytest.raises(
        DataError, match=r"1 colours are not in class_dict.csv, 8.3% of the pixels: \(0, 255, 0\)"
    ):
        init(tmp_path)
    assert not (tmp_path / "classes.csv").exists()


def test_smoothed_colours_are_no_classes(tmp_path: Path) -> None:
    def mask(i: int) -> np.ndarray:
        turned = Image.fromarray(COLORS[ids(i)]).rotate(10 + i, Image.Resampling.BILINEAR)
        return np.asarray(turned)

    many(tmp_path, "images/%.jpg", "labels/%.png", mask)
    with pytest.raises(DataError, match=r"are mixtures of others in thin lines, .*without smoothing"):
        init(tmp_path)


def test_colours_on_a_grid_are_classes(tmp_path: Path) -> None:
    """VOC's table is full of mixtures of its own colours; areas tell them from smoothing."""
    palette, rng = interleaved_palette(), np.random.default_rng(0)

    def mask(_: int) -> np.ndarray:
        return palette[rng.integers(0, 21, (3, 4)).repeat(4, 0).repeat(4, 1)]

    report = init(many(tmp_path, "images/%.jpg", "labels/%.png", mask))
    assert len(report.classes) == 21
    assert report.classes[0].row.name == "background"


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_masks_of_two_values_with_blurred_borders(tmp_path: Path, ending: str) -> None:
    for i in range(NUMBER):
        wide = Image.fromarray(binary(i)).resize((320, 240), Image.Resampling.NEAREST)
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(np.zeros((240, 320, 3), np.uint8)).save(tmp_path / f"images/{i:03d}.jpg")
        blurred = wide.resize((80, 60), Image.Resampling.BILINEAR).resize(
            (320, 240), Image.Resampling.BICUBIC
        )
        blurred.save(tmp_path / f"masks/{i:03d}.{ending}")
    report = init(tmp_path)
    assert [value.row.name for value in report.classes] == TWO
    assert report.description.layout == "per_class"
    assert any("two classes, told apart at 128" in note for note in report.notes)
    assert resolve(tmp_path).verify().ok
    share = float((open_dataset(tmp_path).mask(0) == 1).float().mean())
    assert abs(share - 0.25) < 0.02


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_many_ids_below_a_void_of_255_are_no_blurred_borders(tmp_path: Path, ending: str) -> None:
    """Ids 0 to 11 and 255 lie near the ends of the scale, as the values of a smoothed mask do."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] // 2

    def mask(i: int) -> np.ndarray:
        found = (rows % 6 + 6 * (columns >= 4)).astype(np.uint8)
        found[:, -2:] = 255 if i % 3 else 0
        return found if ending == "png" else np.kron(found, np.ones((10, 10), np.uint8))

    many(tmp_path, "images/%.jpg", f"masks/%.{ending}", mask)
    if ending == "jpg":
        with pytest.raises(DataError, match="JPEG files of more than two labels"):
            init(tmp_path)
        return
    report = init(tmp_path)
    assert report.description.layout == "patterns"
    assert [value.row.name for value in report.classes] == [f"class_{k}" for k in range(12)]
    assert [value.told for value in report.values if value.row.ignore] == ["255"]


def test_compressed_masks_of_colours_are_refused(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "labels/%.jpg", lambda i: COLORS[ids(i)])
    with pytest.raises(DataError, match=r"12 of 12 items cannot be used; the first: .*as PNG"):
        init(tmp_path)
    many(tmp_path / "gray", "images/%.jpg", "labels/%.jpg", lambda i: ids(i) * 60)
    with pytest.raises(DataError, match="JPEG files of more than two labels"):
        init(tmp_path / "gray")


@pytest.mark.parametrize("masks", ["masks/{}/%.png", "masks/%_{}.png", "masks/%/{}.png", "images/%_{}.png"])
def test_one_mask_for_each_class(tmp_path: Path, masks: str) -> None:
    for name in ("crack", "open_joint"):
        turned = slice(None, None, -1 if name == "crack" else 1)
        many(tmp_path, "images/%.png", masks.format(name), lambda i, t=turned: binary(i)[:, t])
    report = init(tmp_path)
    check(tmp_path, report, ["background", "crack", "open_joint"], CUT)
    assert report.description.layout == "per_class"


def test_coco(tmp_path: Path) -> None:
    names = pictures(tmp_path / "images", NUMBER)
    outlined = [
        {"image_id": i, "category_id": 1 + i % 3, "segmentation": [[2, 2, 9, 2, 9, 9]]} for i in range(12)
    ]
    box = {"image_id": 3, "category_id": 1, "segmentation": [], "bbox": [1, 2, 3, 4]}
    coco_file(tmp_path / "annotations/instances_default.json", names, [*outlined, box])
    (tmp_path / "annotations/captions.json").write_text('{"images": [], "annotations": []}')
    report = init(tmp_path)
    check(tmp_path, report, ["background", "cat", "dog", "eel"], CUT)
    assert report.description.options == {"without_area": "skip"}
    assert any("categories without an outline are left out: things" in note for note in report.notes)


def test_coco_of_each_split(tmp_path: Path) -> None:
    for split, number in (("train2017", 6), ("val2017", 3)):
        names = pictures(tmp_path / split, number)
        coco_file(tmp_path / f"annotations/instances_{split}.json", names)
        coco_file(tmp_path / f"annotations/person_keypoints_{split}.json", names)
    report = init_folder(tmp_path)
    check(tmp_path, report, ["background", "cat", "dog", "eel"], {"train": 6, "val": 3})
    assert report.description.splits == {"train": "train2017", "val": "val2017"}


def test_labelme(tmp_path: Path) -> None:
    for i, name in enumerate(pictures(tmp_path, NUMBER)):
        point = {"label": "cow", "shape_type": "point", "points": [[1, 2]]}
        labelme_file((tmp_path / name).with_suffix(".json"), square(("cat", "dog", "void")[i % 3]), point)
    picture(tmp_path / "other.png", 0)
    report = init(tmp_path)
    check(tmp_path, report, ["background", "cat", "dog"], CUT)
    assert any("1 image has no mask and is left out, such as other.png" in note for note in report.notes)
    assert report.values[-1].row.ignore


def test_labelme_images_of_another_folder(tmp_path: Path) -> None:
    for name in pictures(tmp_path / "images", NUMBER):
        labelme_file(tmp_path / "json" / f"{name[:-4]}.json", square())
    check(tmp_path, init(tmp_path), ["background", "cat"], CUT)


def test_a_class_that_is_always_hidden_is_void(tmp_path: Path) -> None:
    """Its row must be there, for the annotation names it; a class without a pixel must not."""
    for name in pictures(tmp_path, NUMBER):
        labelme_file((tmp_path / name).with_suffix(".json"), square("under"), square("cat"))
    report = init(tmp_path)
    check(tmp_path, report, ["background", "cat"], CUT)
    assert report.values[-1].why == "no pixel: others lie over it"


@pytest.mark.parametrize(
    ("values", "void"),
    [
        ((0, 1, 255), "255"),
        ((0, 85, 170, 255), ""),  # spread over all of the range
        ((1, 255, 255, 2, 255, 255, 255, 255), ""),  # most of the pixels
        ((0, 255), ""),
    ],
)
def test_what_is_probably_void(tmp_path: Path, values: tuple[int, ...], void: str) -> None:
    report = init(many(tmp_path, "images/%.jpg", "masks/%.png", lambda _: stripes(*values)))
    assert [value.told for value in report.values if value.row.ignore] == [void][: len(void)]
    assert resolve(tmp_path).verify().ok


def test_what_is_there_is_never_changed(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "masks/%.png")
    init(tmp_path)
    before = {
        path.name: path.read_text()
        for path in tmp_path.rglob("*")
        if path.suffix in (".csv", ".txt", ".yaml")
    }
    assert len(before) == 5
    for options, message in (
        ({}, r"lacks nothing: classes.csv, splits/train.txt, .* --overwrite writes them anew"),
        ({"names": "a,b,c,d"}, "classes.csv is there, and names would change it; --overwrite"),
        ({"val": 0.5}, "splits is there, and a cut would change it"),
        ({"seed": 0}, "splits is there, and a cut would change it"),
        ({"images": "images/{name}.jpg", "masks": "masks/{name}.png"}, "aucseg.yaml is there, and patterns"),
    ):
        with pytest.raises((DataError, OptionError), match=message):
            init(tmp_path, **options)
    assert before == {path.name: path.read_text() for path in tmp_path.rglob("*") if path.name in before}
    report = init(tmp_path, names="sea,sky,sun,sand", val=0.5, test=0, overwrite=True)
    assert {split: len(names) for split, names in report.splits.items()} == {"train": 6, "val": 6}
    assert read_classes(tmp_path).classes[2].name == "sun"


def test_only_what_is_missing_is_written(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "masks/%.png")
    (tmp_path / "classes.csv").write_text("id,name,ignore\n0,sea,0\n1,sky,0\n2,sun,0\n3,rest,1\n")
    report = init(tmp_path)
    check(tmp_path, report, ["sea", "sky", "sun"], CUT)
    assert report.kept == ["classes.csv"]
    assert (tmp_path / "classes.csv").read_text().endswith("3,rest,1\n")
    (tmp_path / "classes.csv").unlink()
    assert [path.name for path in init(tmp_path).written] == ["classes.csv"]


def test_a_table_that_does_not_fit_is_told(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "masks/%.png")
    (tmp_path / "classes.csv").write_text("id,name,ignore\n0,sea,0\n1,sky,0\n2,sun,0\n9,moon,0\n")
    report = init(tmp_path)
    assert report.problems == [
        "3 has no row in classes.csv (8.3% of the pixels)",
        "class 'moon' of classes.csv has no pixel",
    ]


def test_nothing_is_written_by_print(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "masks/%.png")
    before = sorted(tmp_path.rglob("*"))
    report = init(tmp_path, write=False)
    assert sorted(tmp_path.rglob("*")) == before
    assert not report.written
    assert report.files["classes.csv"].startswith("id,name,r,g,b,ignore\n0,class_0,")
    assert json.loads(json.dumps(report.to_dict()))["splits"] == CUT


def test_every_class_of_the_tail_is_in_every_split(tmp_path: Path) -> None:
    """40 images, four classes in three images each."""
    many(
        tmp_path, "images/%.jpg", "masks/%.png", lambda i: stripes(0, 1 + i // 3 if i < 12 else 0), number=40
    )
    report = init(tmp_path)
    assert {split: len(names) for split, names in report.splits.items()} == {"train": 28, "val": 4, "test": 8}
    assert all(min(held) > 0 for held in report.held.values())
    again = init(tmp_path, overwrite=True)
    assert again.splits == report.splits
    assert init(tmp_path, overwrite=True, seed=1).splits != report.splits


def test_a_class_in_two_images_is_told(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "masks/%.png", lambda i: stripes(0, 1, 2 if i < 2 else 1), number=30)
    told = "class 'class_2' is in 2 images, none of them in val"
    assert told in init(tmp_path).notes


def test_masks_of_another_size_and_broken_ones_are_told(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "masks/%.png", number=30)
    label(tmp_path / "masks/003.png", ids(0)[:5])
    (tmp_path / "masks/004.png").write_bytes(b"no picture")
    (tmp_path / "images/005.jpg").write_bytes(b"no picture")
    problems = init(tmp_path).problems
    assert len(problems) == 3
    assert "003.png: the mask is 16x5 but its image is 16x12 (width x height)" in problems[0]
    assert "unreadable mask" in problems[1]
    assert "unreadable image" in problems[2]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (lambda i: ids(i).astype(np.uint16) * 1000, "masks hold the value 3000; classes are numbered from 0"),
        (lambda i: ids(i) * 0, "the masks hold 0, which makes 1 classes"),
        (lambda i: COLORS[ids(i)] if i % 2 else ids(i), r"some masks hold values \(.*\) and others colours"),
    ],
)
def test_masks_that_cannot_be_classes(tmp_path: Path, mask: Callable[[int], Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        init(many(tmp_path, "images/%.jpg", "masks/%.png", mask))
    assert str(tmp_path) in str(caught.value)


def test_a_folder_that_is_not_recognised(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        init(tmp_path / "nowhere")
    pictures(tmp_path / "photos", 3)
    with pytest.raises(DataError, match=r"there are 3 \.png in photos/; .*--masks .*COCO and LabelMe JSON"):
        init(tmp_path)
    with pytest.raises(OptionError, match="given both or not at all"):
        init(tmp_path, images="photos/{name}.png")
    with pytest.raises(OptionError, match=r"shares from 0 on, below 1 together, got 0\.6 and 0\.4"):
        init(tmp_path, val=0.6, test=0.4)


def test_two_ways_to_read_a_folder(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "labels/%.png")
    many(tmp_path, "images/%.jpg", "annotations/%.png")
    with pytest.raises(DataError, match=r"2 ways; say which: --images 'images/{name}.jpg' --masks 'annot"):
        init(tmp_path)
    many(tmp_path, "images/%.jpg", "labels_color/%.png", lambda i: COLORS[ids(i)])
    report = init(tmp_path, images="images/{name}.jpg", masks="labels_color/{name}.png", names="a,b,c,d")
    check(tmp_path, report, ["a", "b", "c", "d"], CUT)


def test_masks_for_the_eye_come_second(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "labels/%.png")
    many(tmp_path, "images/%.jpg", "labels_color/%.png", lambda i: COLORS[ids(i)])
    report = init(tmp_path)
    assert report.description.masks == "labels/{name}.png"
    assert "masks labels_color/{name}.png fit as well and are left alone" in report.notes


def test_a_published_data_set_is_read_as_it_is(tmp_path: Path) -> None:
    for write in (ade20k, cityscapes):
        root = write(tmp_path / write.__name__)
        with pytest.raises(DataError, match=f"has the folders of '{write.__name__}'"):
            init_folder(root)
    # two labels in images/ and masks/ say nothing
    root = many(tmp_path / "mine", "images/%.jpg", "masks/%.png")
    check(root, init_folder(root), FOUR, CUT)


def test_classes_without_names_are_told_and_named_ones_are_not(tmp_path: Path) -> None:
    many(tmp_path, "images/%.jpg", "masks/%.png", ids)
    told = (
        "4 classes have no names and are called class_0, class_1, class_2, class_3: give --names, or write "
    )
    assert any(note.startswith(told) for note in init(tmp_path).notes)
    named = init(tmp_path, names="sky,road,car,sign", overwrite=True)
    assert [value.row.name for value in named.classes] == ["sky", "road", "car", "sign"]
    assert not any("no name" in note for note in named.notes)
