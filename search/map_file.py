"""The file that a map is kept in: a cache in the catalogue's index folder.

A NumPy archive (``.npz``) of plain arrays; each of its members has a checksum. It may be deleted at
any time.
"""

import zipfile
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.errors import EchoicError
from db.index_folder import slug, write_atomically

_VERSION: Final = 1
_ARRAYS: Final = {
    "recordings": (np.int64, 1),
    "places": (np.float32, 2),
    "typical": (np.int32, 1),
    "reduced": (np.float16, 2),
    "mean": (np.float32, 1),
    "components": (np.float32, 2),
}

_DAMAGE: Final = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,  # of a ZIP header that claims a password, or a way to pack that nobody knows
    zlib.error,
    zipfile.BadZipFile,
)


class MapError(EchoicError):
    """A map cannot be drawn, read or kept; the message says what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMap:
    """A map as it was drawn.

    Attributes
    ----------
    encoder : str
    drawn_at : datetime
        In UTC.
    recordings : ndarray, shape (n,), int64
        Their ids, ascending.
    places : ndarray, shape (n, 2), float32
        Between 0 and 1; one unit is the same length on both axes.
    typical : ndarray, shape (n,), int32
        Which of a recording's segments is most like all of them.
    reduced : ndarray, shape (n, m), float16
        Its vectors, by their principal components.
    mean : ndarray, shape (dim,), float32
    components : ndarray, shape (dim, m), float32
        What makes `reduced` of vectors.
    """

    encoder: str
    drawn_at: datetime
    recordings: NDArray[np.int64]
    places: NDArray[np.float32]
    typical: NDArray[np.int32]
    reduced: NDArray[np.float16]
    mean: NDArray[np.float32]
    components: NDArray[np.float32]


def map_path(catalogue: Catalogue, encoder: str) -> Path:
    """Return where the map of an encoder's vectors is kept."""
    return catalogue.index_folder / f"{slug(encoder)}.map.npz"


def save_map(path: Path, drawn: DrawnMap) -> None:
    """Keep a map, in place of the one before.

    Raises
    ------
    MapError
        If the file cannot be written. What was there is as it was.
    """
    arrays: dict[str, Any] = {name: getattr(drawn, name) for name in _ARRAYS}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_atomically(path) as file:
            np.savez(
                file,
                version=np.array(_VERSION),
                encoder=np.array(drawn.encoder),
                drawn_at=np.array(drawn.drawn_at.isoformat()),
                **arrays,
            )
    except OSError as error:
        raise MapError(
            f"the map cannot be written to {path} ({error}): make room on the disk, or give "
            "yourself the right to write there"
        ) from error


def load_map(path: Path) -> DrawnMap | None:
    """Return the map that is kept in a file; None if there is none.

    Raises
    ------
    MapError
        If it is damaged, or cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return _read(file)
    except FileNotFoundError:
        return None
    except _DAMAGE as error:
        raise MapError(
            f"the map in {path} is damaged or of another Echoic ({error}): draw it anew, with "
            "`echoic map --anew` or from the page Map"
        ) from error


def _read(file: Any) -> DrawnMap:
    if int(file["version"]) != _VERSION:
        raise ValueError(f"version {file['version']}")
    arrays = {}
    for name, (dtype, n_axes) in _ARRAYS.items():
        array = file[name]
        if array.dtype != dtype or array.ndim != n_axes:
            raise ValueError(f"{name} is {array.dtype} with {array.ndim} axes")
        arrays[name] = array
    n, m = arrays["reduced"].shape
    sizes = (len(arrays["recordings"]), len(arrays["places"]), len(arrays["typical"]))
    if set(sizes) != {n} or arrays["components"].shape != (len(arrays["mean"]), m):
        raise ValueError("its parts do not belong together")
    drawn_at = datetime.fromisoformat(str(file["drawn_at"]))
    return DrawnMap(str(file["encoder"]), drawn_at, **arrays)
