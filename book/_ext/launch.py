"""Links that run a chapter elsewhere: off until `_config.yml` names the address of the repository.

A notebook of the book lies in the repository at the address that its page has, so that nothing else is asked.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

HUBS = {"binderhub_url": "https://mybinder.org"}
GITHUB_HUBS = {"colab_url": "https://colab.research.google.com"}


def offer_launch(app: Sphinx, config: Config) -> None:
    options: dict[str, Any] = config.html_theme_options
    address = (options.get("repository_url") or "").strip()
    buttons = {key: value for key, value in options.get("launch_buttons", {}).items() if key not in HUBS}
    parts = urlsplit(address)
    if address and not (parts.scheme == "https" and parts.netloc and parts.path.strip("/").count("/") == 1):
        raise ExtensionError(
            f"repository_url of _config.yml is {address!r}; write https://HOST/OWNER/NAME, or nothing"
        )
    if address:
        buttons |= HUBS | (GITHUB_HUBS if parts.netloc == "github.com" else {})
    options["launch_buttons"] = buttons
    options["use_repository_button"] = options["use_issues_button"] = bool(address)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", offer_launch)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
