"""Class tables that are wrong say where."""

from __future__ import annotations

from pathlib import Path

import pytest

from aucseg.catalog import open_dataset
from aucseg.errors import DataError
from tests.data.folders import replace_text


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
