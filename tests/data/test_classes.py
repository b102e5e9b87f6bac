"""Class tables that are wrong say where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aucseg.catalog import open_dataset
from aucseg.data.classes import read_classes
from aucseg.data.palette import distinct_colors
from aucseg.errors import DataError
from tests.data.folders import replace_text, write_mask


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


def test_colours_may_be_left_out(tiny_camvid: Path) -> None:
    table = tiny_camvid / "classes.csv"
    table.write_text("id,name,ignore\n0,Sky,0\n1,Building,0\n2,Void,1\n")
    sky, building, void = read_classes(tiny_camvid).rows
    assert (sky.color, building.color) == distinct_colors(2)
    assert void.color == (0, 0, 0)
    assert not any(row.colored for row in (sky, building, void))
    # a colour that is given is no other class's
    first, second = distinct_colors(2)
    table.write_text("id,name,ignore,r,g,b\n0,Sky,0,,,\n1,Building,0,{},{},{}\n".format(*first))
    assert [row.color for row in read_classes(tiny_camvid).rows] == [second, first]
    table.write_text("id,name,ignore,r,g,b\n0,Sky,0,,,\n1,Building,0,1,,2\n")
    with pytest.raises(DataError, match="line 3 is not whole numbers in r,g,b"):
        read_classes(tiny_camvid)


def test_every_class_gets_a_colour(tiny_camvid: Path) -> None:
    rows = "".join(f"{i},c{i},{int(i == 255)}\n" for i in range(256))
    (tiny_camvid / "classes.csv").write_text("id,name,ignore\n" + rows)
    colors = [row.color for row in read_classes(tiny_camvid).classes]
    assert len(set(colors)) == len(colors) == 255


def test_a_colour_that_was_made_up_is_none_of_a_mask(tiny_camvid: Path) -> None:
    (tiny_camvid / "classes.csv").write_text("id,name,ignore\n0,Sky,0\n1,Building,0\n")
    write_mask(tiny_camvid, np.array(distinct_colors(2), np.uint8)[None])
    with pytest.raises(DataError, match=r"classes.csv: has no colours, and .*train_000.png is a colour mask"):
        open_dataset("folder", tiny_camvid, "train").mask(0)
