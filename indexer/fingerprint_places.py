"""The index of fingerprints wherever a catalogue keeps it, and its move from one place to another.

Nothing of Ray is loaded where they are looked up in files.
"""

import os
from functools import partial

from db.archive_frames import ArchiveFrames
from db.catalogue import Catalogue
from db.errors import EchoicError, PostingsError
from db.fingerprint_index import FingerprintIndex
from db.fingerprint_location import (
    ENVIRONMENT_VARIABLE,
    FILES,
    OnCluster,
    cluster_of_fingerprints,
    store_cluster,
    stored_cluster,
)
from db.partitioned_index import PartitionedIndex, Partitions
from db.postings_saving import forget_postings_files
from db.writer import CatalogueWriter
from indexer.fingerprint import FINGERPRINTERS, Fingerprinter, load_fingerprinter


def open_fingerprints(catalogue: Catalogue, fingerprinter: Fingerprinter) -> ArchiveFrames:
    """Open the index of a fingerprinter where the catalogue, or the environment, says that it is.

    Raises
    ------
    UnknownName
        If the catalogue holds no fingerprints by it.
    PostingsError
        If the environment says what cannot be.
    """
    cluster = cluster_of_fingerprints(catalogue)
    if cluster is not None:
        return _partitioned(catalogue, fingerprinter, cluster)
    return FingerprintIndex.open(
        catalogue, fingerprinter.id, fingerprinter.keys, key_bits=fingerprinter.key_bits
    )


def prepare_parts(catalogue: Catalogue, cluster: OnCluster, scheme: str) -> list[str]:
    """Let all parts on a cluster take in what was committed; return what is wrong, in words.

    Raises
    ------
    PostingsError
        If the cluster cannot be reached. Then they do it when they are next asked.
    """
    return _partitioned(catalogue, load_fingerprinter(scheme), cluster).prepare()


def repair_parts(catalogue: Catalogue) -> list[str]:
    """Start the parts anew, if fingerprints are looked up on a cluster; return what was done."""
    cluster = cluster_of_fingerprints(catalogue)
    if cluster is None:
        return []
    try:
        return _restarted(catalogue, cluster)
    except EchoicError as error:
        return [f"left the parts on {cluster} as they are ({error})"]


def move_fingerprints(writer: CatalogueWriter, location: str) -> list[str]:
    """Look fingerprints up at another place from now on; return what was done, in words.

    Parameters
    ----------
    location : str
        ``files``, or ``ray:HOST:PORT``; see `db.fingerprint_location`.

    Raises
    ------
    PostingsError
        If it can be neither, the cluster cannot be reached, or ``ECHOIC_FINGERPRINTS`` says
        otherwise. Then nothing has changed.
    """
    catalogue = writer.catalogue
    cluster, before = OnCluster.read(location), stored_cluster(catalogue)
    said = os.environ.get(ENVIRONMENT_VARIABLE)
    if said and OnCluster.read(said) != cluster:
        raise PostingsError(
            f"{ENVIRONMENT_VARIABLE} says that fingerprints are looked up at {said}: unset it "
            f"before you move them to {location}"
        )
    if cluster is not None and cluster.n_parts is None:
        from indexer.ray_parts import one_part_a_machine

        cluster = one_part_a_machine(cluster)
    if cluster == before:
        return []
    done = [f"looking fingerprints up at {cluster or FILES} from now on"]
    if cluster is not None:
        # So that nothing is changed if the cluster cannot do it.
        done += _restarted(catalogue, cluster)
    store_cluster(catalogue, cluster)
    if before is None:
        forget_postings_files(catalogue)
        return done
    return done + _ended(catalogue, before, cluster)


def _restarted(catalogue: Catalogue, cluster: OnCluster) -> list[str]:
    """End all parts of a catalogue on a cluster and start them again."""
    from indexer.ray_parts import end_parts

    end_parts(catalogue, cluster)
    done = []
    for scheme in catalogue.schemes():
        if scheme.name in FINGERPRINTERS:
            notes = prepare_parts(catalogue, cluster, scheme.name)
            done += [f"brought the parts of {scheme.name} on {cluster} up to date", *notes]
    return done


def _ended(catalogue: Catalogue, before: OnCluster, now: OnCluster | None) -> list[str]:
    """End what kept the fingerprints before."""
    if now is not None and now.address == before.address:
        return []  # that was done before others were started
    try:
        from indexer.ray_parts import end_parts

        end_parts(catalogue, before)
    except EchoicError as error:
        return [f"left the parts on {before} as they are ({error})"]
    return [f"ended the parts on {before}"]


def _partitioned(
    catalogue: Catalogue, fingerprinter: Fingerprinter, cluster: OnCluster
) -> PartitionedIndex:
    return PartitionedIndex.open(
        catalogue,
        fingerprinter.id,
        fingerprinter.keys,
        key_bits=fingerprinter.key_bits,
        connect=partial(_connected, catalogue, fingerprinter, cluster),
    )


def _connected(
    catalogue: Catalogue, fingerprinter: Fingerprinter, cluster: OnCluster
) -> Partitions:
    from indexer.ray_parts import RayParts  # takes half a second

    return RayParts(
        catalogue,
        cluster,
        fingerprinter.id,
        fingerprinter.keys,
        key_bits=fingerprinter.key_bits,
    )
