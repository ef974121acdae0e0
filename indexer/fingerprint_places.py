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
from db.partition import remove_part_folders
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


def prepare_parts(
    catalogue: Catalogue, cluster: OnCluster, scheme: str, *, anew: bool = False
) -> list[str]:
    """Let all parts on a cluster take in what was committed; return what is wrong, in words.

    Parameters
    ----------
    anew
        As of `db.partition.Partition.prepare`.

    Raises
    ------
    PostingsError
        If the cluster cannot be reached. Then they do it when they are next asked.
    """
    index = _partitioned(catalogue, load_fingerprinter(scheme), cluster)
    return index.prepare(anew=anew)


def part_problems(catalogue: Catalogue) -> list[tuple[str, str]]:
    """Ask the parts whether they hold what SQL holds, if fingerprints are looked up on a cluster.

    Returns
    -------
    list of (str, str)
        What is wrong, and what to do about it.
    """
    cluster = cluster_of_fingerprints(catalogue)
    if cluster is None:
        return []
    try:
        from indexer.ray_parts import part_faults

        return [
            (fault, "run `echoic repair`")
            for fault in part_faults(catalogue, cluster, _known(catalogue))
        ]
    except EchoicError as error:
        remedy = "start it again, or `echoic repair --fingerprints files`"
        return [(f"the parts on {cluster} could not be asked: {error}", remedy)]


def repair_parts(catalogue: Catalogue) -> list[str]:
    """Start the parts anew, if fingerprints are looked up on a cluster; return what was done."""
    cluster = cluster_of_fingerprints(catalogue)
    if cluster is None:
        return []
    try:
        from indexer.ray_parts import end_parts, part_faults

        end_parts(catalogue, cluster)
        done = _prepared(catalogue, cluster)
        faults = part_faults(catalogue, cluster, _known(catalogue))
        if faults:
            _prepared(catalogue, cluster, anew=True)
            done += [f"made all parts anew ({fault})" for fault in faults]
        return done
    except EchoicError as error:
        return [f"left the parts on {cluster} as they are ({error})"]


def forget_parts(catalogue: Catalogue, scheme: str) -> list[str]:
    """End what kept a scheme that has been forgotten; return what could not be done, in words."""
    cluster, notes = cluster_of_fingerprints(catalogue), list[str]()
    try:
        if cluster is not None:
            from indexer.ray_parts import end_parts

            notes = end_parts(catalogue, cluster, scheme=scheme, for_good=True)
    except EchoicError as error:
        notes = [
            f"the parts of {scheme} on {cluster} could not be ended ({error}): `echoic repair` "
            "ends them when it answers"
        ]
    # What is left: of parts that were there before, or could not do it themselves.
    remove_part_folders(catalogue, scheme)
    return notes


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
        from indexer.ray_parts import end_parts

        # Now, so that nothing is changed if the cluster cannot do it.
        done += end_parts(catalogue, cluster, for_good=True)
        done += _prepared(catalogue, cluster)
    store_cluster(catalogue, cluster)
    if before is None:
        forget_postings_files(catalogue)
        return done
    return done + _ended(catalogue, before, cluster)


def _prepared(catalogue: Catalogue, cluster: OnCluster, *, anew: bool = False) -> list[str]:
    done = []
    for scheme in _known(catalogue):
        notes = prepare_parts(catalogue, cluster, scheme, anew=anew)
        done += [f"brought the parts of {scheme} on {cluster} up to date", *notes]
    return done


def _known(catalogue: Catalogue) -> list[str]:
    """Return the schemes whose fingerprints can be looked up by this Echoic."""
    return [scheme.name for scheme in catalogue.schemes() if scheme.name in FINGERPRINTERS]


def _ended(catalogue: Catalogue, before: OnCluster, now: OnCluster | None) -> list[str]:
    """End what kept the fingerprints before."""
    if now is not None and now.address == before.address:
        return []  # that was done before others were started
    try:
        from indexer.ray_parts import end_parts

        notes = end_parts(catalogue, before, for_good=True)
    except EchoicError as error:
        return [f"left the parts on {before} as they are ({error})"]
    return [f"ended the parts on {before}", *notes]


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
