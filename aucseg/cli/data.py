"""``aucseg data``: list, get, prepare, verify and count data sets; the odds of a batch, and the tail."""

from __future__ import annotations

import typer

from aucseg.cli.lazy import lazy_group

_PLACES = {
    "list": "aucseg.cli.data_sets:list_command",
    "get": "aucseg.cli.data_sets:get",
    "prepare": "aucseg.cli.data_sets:prepare",
    "verify": "aucseg.cli.data_verify:verify",
    "stats": "aucseg.cli.data_stats:stats",
    "odds": "aucseg.cli.data_odds:odds",
    "tail": "aucseg.cli.data_odds:tail",
}

app = typer.Typer(name="data", cls=lazy_group(_PLACES), no_args_is_help=True, add_completion=False)


@app.callback()
def data() -> None:
    """List, fetch, prepare, verify and count data sets."""
