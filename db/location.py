"""Where a catalogue lies."""

import os
from pathlib import Path

import platformdirs

ENVIRONMENT_VARIABLE = "ECHOIC_CATALOGUE"


def catalogue_location(given: str | None = None) -> str:
    """Return the catalogue to use: the one given, else ``ECHOIC_CATALOGUE``, else the user's own.

    Returns
    -------
    str
        A folder, or a SQLAlchemy URL.
    """
    return given or os.environ.get(ENVIRONMENT_VARIABLE) or str(_data_folder() / "catalogue")


def index_folder(catalogue_uuid: str) -> Path:
    """Return the folder of the index files of a catalogue whose database is on a server."""
    return _data_folder() / "indexes" / catalogue_uuid


def _data_folder() -> Path:
    return Path(platformdirs.user_data_dir("echoic", appauthor=False))
