"""One part of a divided index of fingerprints, as the machine that keeps it answers for it.

It is made of SQL like any index and keeps its postings files in a folder of its own. Whoever asks
says of which change (`db.changes`) they know; so a part that lags takes in what it lacks before it
answers, and nobody is answered by what was forgotten before they asked.
"""

import shutil
import threading
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.errors import CatalogueError, PostingsError
from db.fingerprint_index import FingerprintIndex, save_part
from db.index_folder import slug
from db.key_parts import Part
from db.postings_merge import Expand
from db.postings_saving import forget_postings_files, postings_faults

BLOCK_FRAMES: Final = 1024
"""Landmarks are handed out in blocks of so many frames, counted from the archive's first."""

_MOST_UNSAVED: Final = 1_000_000
"""Postings, some hours of sound: that many are built anew in seconds."""


@dataclass(frozen=True, slots=True)
class PartSpec:
    """What a machine has to know to keep a part.

    Attributes
    ----------
    location : str
        Of the catalogue, the same on all machines; a password may stand in it.
    uuid : str
        The catalogue's: another that lies at the same place is not served.
    version : str
        Of Echoic; another would make other keys.
    scheme : str
    expand : callable
        Gives the keys of a recording's landmarks, and the frame that each belongs to.
    key_bits : int
        Keys are below ``2 ** key_bits``.
    part : Part
    """

    location: str = field(repr=False)
    uuid: str
    version: str
    scheme: str
    expand: Expand
    key_bits: int
    part: Part

    @property
    def folder(self) -> str:
        """Where it keeps its files, below the folder of the catalogue or of its indexes."""
        return f"index/parts/{slug(self.scheme)}.{self.part.number + 1}-of-{self.part.of}"


def remove_part_folders(catalogue: Catalogue, scheme: str) -> None:
    """Remove what parts of a scheme that has been forgotten have kept on this machine."""
    for folder in (catalogue.index_folder / "parts").glob(f"{slug(scheme)}.*-of-*"):
        shutil.rmtree(folder, ignore_errors=True)


class Partition:
    """Answers for one part. Any number of threads may ask.

    It is opened when it is first asked, so that one that cannot be opened yet can be asked again.
    """

    def __init__(self, spec: PartSpec) -> None:
        self._spec = spec
        self._opening = threading.Lock()
        self._saving = threading.Lock()
        self._catalogue: Catalogue | None = None
        self._index: FingerprintIndex | None = None
        self._notes: list[str] = []

    def prepare(self, change: int, anew: bool = False) -> list[str]:
        """Take in what was committed, and keep it in files.

        Parameters
        ----------
        anew
            Drop all that is kept before.

        Returns
        -------
        list of str
            What is wrong, in words.
        """
        if anew:
            with self._opening, self._saving:
                self._index = None
                forget_postings_files(self._opened())
        index = self._in_step(change)
        if not index.is_saved():
            self._save()
            index.refresh()
        return [*self._notes, *index.notes]

    def counts(self, change: int, keys: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Return how many postings keys of this part have, shape (m,)."""
        return self._in_step(change).counts(keys)

    def first_postings(
        self, change: int, keys: NDArray[np.uint32], limits: NDArray[np.intp]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the first postings of keys; see `FingerprintIndex.first_postings`."""
        return self._in_step(change).first_postings(keys, limits)

    def landmarks(
        self, change: int, blocks: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint16]]:
        """Return the landmarks of some blocks of the archive.

        Returns
        -------
        sizes : ndarray, shape (m,), int64
            How many landmarks each block has.
        frames, frequencies : ndarray
            Of all blocks, one after the other.
        """
        index = self._in_step(change)
        starts = (blocks * BLOCK_FRAMES).tolist()
        found = [index.landmarks(start, start + BLOCK_FRAMES) for start in starts]
        return (
            np.array([len(frames) for frames, _ in found], dtype=np.int64),
            np.concatenate([np.empty(0, np.int64), *(frames for frames, _ in found)]),
            np.concatenate([np.empty(0, np.uint16), *(values for _, values in found)]),
        )

    def faults(self) -> list[str]:
        """Compare what is kept with SQL; say in words what differs. Takes long.

        All files are read, and all landmarks compared. A key that is none of SQL's is told by the
        part that keeps the landmark that it was made of.
        """
        spec = self._spec
        with self._opening:
            catalogue = self._opened()
        found = [fault for _, fault in postings_faults(catalogue)]
        if found:
            return found
        with self._opening:
            index = self._index or self._open()
        index.refresh()
        n_differing = index.count_differing()
        if not n_differing:
            return []
        return [
            f"part {spec.part.number + 1} of {spec.part.of} of the fingerprints holds other "
            f"landmarks of {n_differing:,} recordings than the database"
        ]

    def clear(self) -> None:
        """Remove its files and their folder. It is not to be asked any more."""
        with self._opening, self._saving:
            catalogue = self._opened()
            forget_postings_files(catalogue)
            shutil.rmtree(catalogue.cache.folder, ignore_errors=True)

    def close(self) -> None:
        """Let go of the database."""
        if self._catalogue is not None:
            self._catalogue.close()

    # -- inside ----------------------------------------------------------------------------

    def _in_step(self, change: int) -> FingerprintIndex:
        """Return the index as it is at that time, or later."""
        with self._opening:
            index = self._index or self._open()
        if index.change != change:  # who asks may also lag
            index.refresh()
            if index.n_unsaved > _MOST_UNSAVED and not self._saving.locked():
                threading.Thread(target=self._save_and_use, args=(index,), daemon=True).start()
        return index

    def _opened(self) -> Catalogue:
        """Return the catalogue.

        Raises
        ------
        CatalogueError
            If it cannot be opened here, or is another one.
        PostingsError
            If this is not the Echoic of who asks.
        """
        spec = self._spec
        if version("echoic") != spec.version:
            raise PostingsError(
                f"a machine that keeps a part of the fingerprints has Echoic {version('echoic')}, "
                f"not {spec.version} as this one: install the same on all of them"
            )
        if self._catalogue is None:
            catalogue = Catalogue.open(spec.location, part=spec.folder)
            if catalogue.uuid != spec.uuid:
                catalogue.close()
                raise CatalogueError(
                    f"the catalogue at {catalogue.location} is another one there: it has to lie at "
                    "the same place on all machines"
                )
            self._catalogue = catalogue
        return self._catalogue

    def _open(self) -> FingerprintIndex:
        catalogue, spec = self._opened(), self._spec
        # A large part is built in little memory only if it goes into files at once.
        self._save()
        self._index = FingerprintIndex.open(
            catalogue, spec.scheme, spec.expand, key_bits=spec.key_bits, part=spec.part
        )
        return self._index

    def _save_and_use(self, index: FingerprintIndex) -> None:
        self._save()
        index.refresh()

    def _save(self) -> None:
        """Keep in files what is in none; what cannot be saved is in memory, and so found, too."""
        catalogue, spec = self._opened(), self._spec
        with self._saving:
            self._notes = []
            try:
                save_part(
                    catalogue,
                    spec.scheme,
                    spec.expand,
                    key_bits=spec.key_bits,
                    part=spec.part,
                )
            except CatalogueError as error:
                self._notes = [f"{error}; part {spec.part.number + 1} is kept in memory"]
