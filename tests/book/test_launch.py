"""Links that run a chapter elsewhere: none without an address of the repository, right ones with it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.repository import ROOT

pytest.importorskip("jupyter_book", reason="needs the extra aucseg[book]")

NOTEBOOK = {
    "cells": [{"cell_type": "markdown", "id": "0", "metadata": {}, "source": ["# A chapter\n"]}],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def built(folder: Path, address: str) -> tuple[int, str, str]:
    """A book of one chapter by the configuration of this one: exit code, what was said, and the chapter."""
    pages = folder / "book"
    (pages / "notebooks").mkdir(parents=True)
    (pages / "notebooks" / "chapter.ipynb").write_text(json.dumps(NOTEBOOK))
    shutil.copytree(ROOT / "book" / "_static", pages / "_static")
    shutil.copy(ROOT / "book" / "references.bib", pages)
    (pages / "intro.md").write_text("# A book\n")
    toc = {"format": "jb-book", "root": "intro", "chapters": [{"file": "notebooks/chapter"}]}
    (pages / "_toc.yml").write_text(yaml.safe_dump(toc))
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["html_theme_options"]["repository_url"] = address
    # of our own extensions only this one: the numbers of the other are for pages that are not here
    config["sphinx"]["local_extensions"] = {"launch": str(ROOT / "book" / "_ext")}
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    arguments = ["build", str(pages), "--config", str(folder / "_config.yml"), "--path-output", str(folder)]
    program = "from jupyter_book.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, "-q"], capture_output=True, text=True, check=False
    )
    page = folder / "_build" / "html" / "notebooks" / "chapter.html"
    return done.returncode, done.stdout + done.stderr, page.read_text() if page.is_file() else ""


def outside(page: str) -> set[str]:
    """Addresses of other hosts that a page links to."""
    return set(re.findall(r'href="(https?://[^"]*)"', page))


def test_this_book_names_no_address() -> None:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    assert config["sphinx"]["config"]["html_theme_options"]["repository_url"] == ""
    assert config["sphinx"]["local_extensions"]["launch"] == "book/_ext"


@pytest.mark.slow
def test_without_an_address_there_is_no_link(tmp_path: Path) -> None:
    code, said, page = built(tmp_path, "")
    assert code == 0, said
    assert "A chapter" in page
    assert not [link for link in outside(page) if re.search("mybinder|colab|github", link)]


@pytest.mark.slow
def test_an_address_gives_links_to_the_notebook(tmp_path: Path) -> None:
    code, said, page = built(tmp_path, "https://github.com/someone/aucseg")
    assert code == 0, said
    links = outside(page)
    assert "https://github.com/someone/aucseg" in links
    assert (
        "https://mybinder.org/v2/gh/someone/aucseg/main?urlpath=lab/tree/notebooks/chapter.ipynb"
    ) in links
    assert (
        "https://colab.research.google.com/github/someone/aucseg/blob/main/notebooks/chapter.ipynb"
    ) in links
    # the notebooks of the repository lie where these links look
    assert (ROOT / "notebooks" / "quickstart.ipynb").is_file()


@pytest.mark.slow
def test_an_address_that_is_none_is_named(tmp_path: Path) -> None:
    code, said, _ = built(tmp_path, "github.com/someone")
    assert code != 0
    assert "repository_url of _config.yml is 'github.com/someone'; write https://HOST/OWNER/NAME" in said
