"""Where fingerprints are looked up: in this machine's files, or in parts on a Ray cluster.

The catalogue remembers it, so that all commands agree. A machine that reaches the cluster under
another address, or that must do without it, says so in its environment.
"""

import os
import re
from dataclasses import dataclass
from typing import Final, Self

from db.catalogue import Catalogue
from db.errors import PostingsError
from db.schema import CatalogueInfo

ENVIRONMENT_VARIABLE: Final = "ECHOIC_FINGERPRINTS"
FILES: Final = "files"
"""What the place is called that is no cluster: postings files of this machine."""

_KEY: Final = "fingerprints"
_ON_RAY: Final = re.compile(r"ray:(auto|[^\s/?]+:\d+)(?:\?parts=([1-9]\d{0,2}))?")


@dataclass(frozen=True, slots=True)
class OnCluster:
    """A Ray cluster that keeps the fingerprints.

    Attributes
    ----------
    address : str
        ``HOST:PORT``, or ``auto`` for the cluster that a machine belongs to.
    n_parts : int or None
        How many parts they are divided into; None if that is not said.
    """

    address: str
    n_parts: int | None

    @classmethod
    def read(cls, location: str) -> Self | None:
        """Read what a user wrote; None if it means files.

        Raises
        ------
        PostingsError
            If it means nothing.
        """
        if location == FILES:
            return None
        found = _ON_RAY.fullmatch(location)
        if found is None:
            raise PostingsError(
                f"{location!r} is no place for fingerprints: give {FILES}, ray:HOST:PORT, or "
                "ray:auto for the cluster that this machine belongs to; with ?parts=NUMBER, how "
                "many parts they are divided into"
            )
        return cls(found[1], int(found[2]) if found[2] else None)

    def __str__(self) -> str:
        """Write it as a user would."""
        parts = "" if self.n_parts is None else f"?parts={self.n_parts}"
        return f"ray:{self.address}{parts}"


def cluster_of_fingerprints(catalogue: Catalogue) -> OnCluster | None:
    """Return where fingerprints are looked up: by ``ECHOIC_FINGERPRINTS``, else by the catalogue.

    Returns
    -------
    OnCluster or None
        None for this machine's files.

    Raises
    ------
    PostingsError
        If the environment says what it cannot be.
    """
    given = os.environ.get(ENVIRONMENT_VARIABLE)
    stored = stored_cluster(catalogue)
    if not given:
        return stored
    chosen = OnCluster.read(given)
    if chosen is None or chosen.n_parts is not None or stored is None:
        return chosen
    return OnCluster(chosen.address, stored.n_parts)


def stored_cluster(catalogue: Catalogue) -> OnCluster | None:
    """Return where the catalogue says that they are looked up; None for files."""
    with catalogue.session() as session:
        row = session.get(CatalogueInfo, _KEY)
    return None if row is None else OnCluster.read(row.value)


def store_cluster(catalogue: Catalogue, cluster: OnCluster | None) -> None:
    """Let the catalogue say so from now on."""
    with catalogue.transaction(of_contents=False) as session:
        session.merge(CatalogueInfo(key=_KEY, value=FILES if cluster is None else str(cluster)))
