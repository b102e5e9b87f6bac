"""The driver of the book: what it asks for, what it builds, and what a page may not load."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aucseg import book
from aucseg.engines import Place, Task
from aucseg.errors import MissingExtraError
from tests.conftest import Command


def clone(folder: Path) -> Path:
    """What the driver takes for a clone of the repository."""
    (folder / "book").mkdir()
    (folder / "book" / "_toc.yml").touch()
    (folder / "_config.yml").touch()
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "quick.ipynb").touch()
    return folder


def test_missing_extra_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, "aucseg.notebooks", raising=False)
    monkeypatch.setitem(sys.modules, "papermill", None)  # cannot be imported
    with pytest.raises(
        MissingExtraError, match=r'papermill is not installed; run: pip install "aucseg\[book\]"'
    ):
        book.make_book(clone(tmp_path), {})


def test_remote_assets_are_found_and_links_are_not(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<a href="https://example.org">a link</a> <script src="_static/x.js"></script>'
        '<link rel="canonical" href="https://example.org/page.html">'
        '<script defer src="https://cdn.example.org/a.js"></script>'
        '<link rel="stylesheet" href="//cdn.example.org/b.css">'
        '<link href="https://c.example.org/f.ico" rel="icon">'
    )
    found = [url for _, url in book.remote_assets(tmp_path)]
    assert found == ["https://cdn.example.org/a.js", "//cdn.example.org/b.css", "https://c.example.org/f.ico"]


def test_second_book_leaves_the_first_alone(tmp_path: Path) -> None:
    pages = tmp_path / "book"
    (pages / "notebooks").mkdir(parents=True)
    (pages / "notebooks" / "old.ipynb").write_text("{}")
    (pages / "page.md").write_text("# page")
    copy = book.stage_pages(pages, tmp_path / "build" / "source")
    assert (copy / "page.md").exists()
    assert not (copy / "notebooks").exists()
    assert (pages / "notebooks" / "old.ipynb").exists()


def test_outside_a_clone(tmp_path: Path) -> None:
    with pytest.raises(book.BookError, match=r"no book in .*inside a clone"):
        book.make_book(tmp_path, {"profile": "smoke", "compute": "missing"})


def test_command_names_an_unknown_notebook(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone(tmp_path)
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    code, _, err = run("book", "--notebook", "quik")
    assert code == 1
    assert "unknown notebook 'quik'; known: quick" in err


def test_each_notebook_is_a_job_of_a_cluster(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a job writes goes where the pages are built from, or where the reader wants it alone."""
    (clone(tmp_path) / "notebooks" / "slow.ipynb").touch()
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    given: list[Task] = []

    def engine(tasks: list[Task], place: Place, report: object) -> dict[str, int]:
        given.extend(tasks)
        assert place.wait
        assert (place.jobs, place.scheduler) == (3, "tcp://there:1")
        return {task.name: int(task.name == "slow.ipynb") for task in tasks}

    monkeypatch.setattr("aucseg.cli.book.ENGINES", {"dask": engine})
    words = ("book", "--engine", "dask", "--scheduler", "tcp://there:1", "--jobs", 3, "--profile", "smoke")
    code, _, err = run(*words, "--no-html")
    assert code == 1
    assert "1 of 2 notebooks failed: slow.ipynb; see" in err
    into = str(tmp_path / "book" / "notebooks")
    rest = (
        "--into",
        into,
        "--cell-timeout",
        "600.0",
        "--jobs",
        "1",
        "--profile",
        "smoke",
        "--compute",
        "missing",
    )
    assert [task.words for task in given] == [("book", "--notebook", n, *rest) for n in ("quick", "slow")]
    given.clear()
    before = sorted(tmp_path.rglob("*"))
    assert run(*words, "--notebook", "quick", "--into", tmp_path / "there")[0] == 0
    assert [task.words[4] for task in given] == [str(tmp_path / "there")]
    assert sorted(tmp_path.rglob("*")) == before
