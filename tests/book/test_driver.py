"""The driver of the book: parameters are checked, failures are reported, finished notebooks are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra aucseg[book]")
pytest.importorskip("papermill", reason="needs the extra aucseg[book]")

from aucseg import book  # noqa: E402
from aucseg.cli.book import make_book  # noqa: E402
from tests.conftest import Command  # noqa: E402

pytestmark = [
    # Of libraries that run the kernel, not of this project.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def write_notebook(
    path: Path, *cells: str, parameters: str = 'profile = "laptop"\ncompute = "missing"'
) -> Path:
    """A notebook with a parameters cell followed by code cells."""
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[first, *(nbformat.v4.new_code_cell(cell) for cell in cells)])
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def test_parameters_are_the_names_that_the_cell_assigns(tmp_path: Path) -> None:
    source = (
        'profile = "laptop"  # size\nseeds: list[int] = [0, 1]\nif True:\n    inner = 1\ncompute = "never"'
    )
    path = write_notebook(tmp_path / "a.ipynb", parameters=source)
    assert book.notebook_parameters(path) == ("profile", "seeds", "compute")


def test_notebook_needs_one_parameters_cell(tmp_path: Path) -> None:
    path = tmp_path / "none.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")]), path)
    with pytest.raises(book.BookError, match=r"none\.ipynb needs exactly one cell.* has 0"):
        book.notebook_parameters(path)


@pytest.mark.parametrize(("content", "message"), [("{", "not a notebook"), (None, "cannot read notebook")])
def test_unreadable_notebook_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "broken.ipynb"
    if content is not None:
        path.write_text(content)
    with pytest.raises(book.BookError, match=rf"{message}|broken\.ipynb is {message}"):
        book.notebook_parameters(path)


def test_unknown_parameter_stops_before_anything_runs(tmp_path: Path) -> None:
    path = write_notebook(tmp_path / "a.ipynb", "open('ran', 'w').close()")
    with pytest.raises(book.BookError, match=r"a\.ipynb has no parameter 'profil'; it has: profile, compute"):
        book.execute_notebooks([path], tmp_path / "out", {"profil": "smoke"})
    assert not (tmp_path / "out").exists()


def test_failing_cell_is_reported_and_the_others_are_kept(tmp_path: Path) -> None:
    bad = write_notebook(tmp_path / "bad.ipynb", "1 + 1", "raise RuntimeError('no ' + profile)")
    good = write_notebook(tmp_path / "good.ipynb", "print('size', profile, compute)")
    lines: list[str] = []
    with pytest.raises(
        book.BookError, match=r"1 of 2 notebooks failed:\s+bad\.ipynb, cell \[4\]: RuntimeError: no smoke"
    ):
        book.execute_notebooks([bad, good], tmp_path / "out", {"profile": "smoke"}, report=lines.append)
    assert any("bad.ipynb: FAILED in cell [4]" in line and "raise RuntimeError" in line for line in lines)
    done = nbformat.read(tmp_path / "out" / "good.ipynb", as_version=4)
    assert "size smoke missing" in str(done.cells)
    assert not (tmp_path / "out" / "bad.ipynb").exists()
    assert (tmp_path / "out" / "failed" / "bad.ipynb").exists()


def test_missing_extra_names_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(book, "import_module", absent)
    with pytest.raises(
        book.BookError, match=r'papermill is not installed; run: pip install "aucseg\[book\]"'
    ):
        book.execute_notebooks([], tmp_path, {})


def test_remote_assets_are_found_and_links_are_not(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<a href="https://example.org">a link</a> <script src="_static/x.js"></script>'
        '<link rel="canonical" href="https://example.org/page.html">'
        '<script defer src="https://cdn.example.org/a.js"></script>'
        '<link rel="stylesheet" href="//cdn.example.org/b.css">'
        '<link href="https://c.example.org/f.ico" rel="icon">'
    )
    found = [url for _, url in book._remote_assets(tmp_path)]
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
        make_book(tmp_path, "smoke", "missing", [], None, html=True)


def test_command_names_an_unknown_notebook(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notebook(tmp_path / "notebooks" / "quick.ipynb")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_toc.yml").touch()
    (tmp_path / "_config.yml").touch()
    monkeypatch.setenv("AUCSEG_HOME", str(tmp_path))
    code, _, err = run("book", "--notebook", "quik")
    assert code == 1
    assert "unknown notebook 'quik'; known: quick" in err
