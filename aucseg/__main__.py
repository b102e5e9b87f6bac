"""``python -m aucseg``."""

from aucseg.cli import app

app()
