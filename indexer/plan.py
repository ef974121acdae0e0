"""Compare what lies on disk with what a catalogue knows: what is to be done, what is done."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from db.catalogue import Catalogue
from db.records import UNREAD, CollectionInfo, Description, Failure, FileState, KnownFile
from indexer.analysis import DESCRIPTOR_SCHEME, READ_STAGE, Features, Job
from indexer.errors import IndexingError
from indexer.metadata import merge
from indexer.remote_scan import RemoteScanner
from indexer.scan import Found, Scanner, Unreadable


class EmptyFolder(IndexingError):
    """A folder that held files holds none: more likely a disk that is not there than a clean-up."""


SCAN_STAGE = "scan"
"""The stage of failures to even look at a file; always tried again."""

WORKER_STAGE = "worker"
"""The stage of failures that took the worker's process along; always tried again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is to compute, and how hard it looks.

    Attributes
    ----------
    encoders, fingerprinters : tuple of str
        Their ids.
    describe : bool
        Whether to compute descriptors.
    verify : bool
        Compare contents of files whose size and time are unchanged, too.
    retry : bool
        Try files again that failed before and have not changed since.
    """

    encoders: tuple[str, ...]
    fingerprinters: tuple[str, ...] = ()
    describe: bool = True
    verify: bool = False
    retry: bool = False

    @property
    def features(self) -> Features:
        """All of it that is computed of a recording."""
        return Features(self.encoders, self.fingerprinters, self.describe)


@dataclass(frozen=True, slots=True)
class Redescription:
    """A file whose sidecar or manifest changed while its audio did not."""

    file_id: int
    description: Description
    sidecar_digest: str | None


@dataclass(slots=True)
class Plan:
    """What a run over one part of a collection has to do.

    Attributes
    ----------
    missing, returned : list of int
        Ids of files that have vanished, and of vanished ones that are back unchanged.
    gone_failures : list of str
        Paths of failures whose file is no longer there, or is there again as it was.
    """

    collection: CollectionInfo
    jobs: list[Job] = field(default_factory=list)
    unreadable: list[Failure] = field(default_factory=list)
    failed_before: list[Failure] = field(default_factory=list)
    redescriptions: list[Redescription] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    gone_failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    n_found: int = 0
    n_unchanged: int = 0
    n_ignored: int = 0


_MOST_HASHES = 64
"""So many known contents of one size go with a job: recorders make thousands of equal sizes."""

_NOTHING = Features()


class KnownContents:
    """The contents of the catalogue, and what each still lacks of what a run wants."""

    def __init__(self, catalogue: Catalogue, wanted: Wanted) -> None:
        lacking = _lacking(catalogue, wanted.features)
        self._lacking: dict[str, Features] = {}
        self._by_size: dict[int, list[str]] = {}
        for size_bytes, hashes in catalogue.hashes_by_size().items():
            self._by_size[size_bytes] = list(hashes)
            for content_hash, recording_id in hashes.items():
                self._lacking[content_hash] = lacking(recording_id)

    def is_complete(self, content_hash: str) -> bool:
        """Tell whether a content is known and lacks nothing."""
        return not self._lacking.get(content_hash, True)

    def of_size(self, size_bytes: int) -> list[str]:
        """Return the hashes that a file of a size may have, the latest; not all if very many."""
        return self._by_size.get(size_bytes, [])[-_MOST_HASHES:]

    def lacking(self, hashes: Iterable[str]) -> dict[str, Features]:
        """Return what contents lack, by hash; those that are not known are left out."""
        return {hash_: self._lacking[hash_] for hash_ in hashes if hash_ in self._lacking}

    def complete(self, size_bytes: int, content_hash: str) -> None:
        """Take note that this run has computed all that a content lacked."""
        if content_hash not in self._lacking:
            self._by_size.setdefault(size_bytes, []).append(content_hash)
        self._lacking[content_hash] = _NOTHING

    def drop(self, size_bytes: int) -> None:
        """Forget the contents of a size: one of them has been replaced in the meantime."""
        for content_hash in self._by_size.pop(size_bytes, []):
            del self._lacking[content_hash]


def _lacking(catalogue: Catalogue, wanted: Features) -> Callable[[int], Features]:
    """Return what tells of a recording which of the wanted features it lacks."""
    embedded = {name: catalogue.recordings_with_vectors(name) for name in wanted.encoders}
    fingerprinted = {
        name: catalogue.recordings_with_fingerprint(name) for name in wanted.fingerprinters
    }
    described = catalogue.recordings_with_descriptors(DESCRIPTOR_SCHEME)
    same: dict[Features, Features] = {}  # a million recordings share a few of them

    def lacking(recording_id: int) -> Features:
        found = Features(
            tuple(name for name, ids in embedded.items() if recording_id not in ids),
            tuple(name for name, ids in fingerprinted.items() if recording_id not in ids),
            wanted.describe and recording_id not in described,
        )
        return same.setdefault(found, found)

    return lacking


@dataclass(frozen=True, slots=True)
class Said:
    """What sidecars and manifests say of a file.

    Attributes
    ----------
    digest : str or None
        Of the description; None if they say nothing, `UNREAD` if one of them could not be read.
    """

    description: Description
    digest: str | None


Describe = Callable[[str], Said]
"""Gives what sidecars and manifests say of a path."""


class Planner:
    """Makes the plan of one run over one collection."""

    def __init__(
        self,
        catalogue: Catalogue,
        collection: CollectionInfo,
        wanted: Wanted,
        contents: KnownContents,
        describe: Describe,
    ) -> None:
        self._contents = contents
        self._collection = collection
        self._wanted = wanted
        self._describe = describe
        self._known = catalogue.known_files(collection.id)
        self._failures = {f.path: f for f in catalogue.failures(collection.id)}
        self.plan = Plan(collection)

    def scan(self, scanner: Scanner | RemoteScanner) -> Plan:
        """Plan for everything that a walk finds; what it does not find any more is missing."""
        present = self._take(scanner)
        there = [file for file in self._known.values() if not file.missing]
        if not scanner.scope and not present and not self.plan.unreadable and there:
            raise EmptyFolder(
                f"{scanner.root} is empty, but {len(there):,} files of the collection "
                f"{self._collection.name!r} were in it: is its disk connected? If they are gone "
                f"for good: `echoic forget --collection {self._collection.name}`"
            )
        self.plan.n_ignored += scanner.n_ignored
        self._note_absent(present, scanner)
        return self.plan

    def listed(self, entries: Iterable[Found | Unreadable]) -> Plan:
        """Plan for the files of a list; nothing is concluded about files that are not on it."""
        self._take(entries)
        return self.plan

    def _take(self, entries: Iterable[Found | Unreadable]) -> set[str]:
        present = set()
        for entry in entries:
            known = self._known.get(entry.path)
            if isinstance(entry, Unreadable) and entry.absent and known is not None:
                if not known.missing:
                    self.plan.missing.append(known.id)
                self.plan.gone_failures.append(entry.path)
            elif isinstance(entry, Unreadable):
                failure = Failure(self._collection.id, entry.path, SCAN_STAGE, entry.reason, None)
                self.plan.unreadable.append(failure)
            else:
                present.add(entry.path)
                self.plan.n_found += 1
                self._consider(entry)
        return present

    def _consider(self, found: Found) -> None:
        known = self._known.get(found.path)
        said = self._describe(found.path)
        unchanged = known is not None and known.state == found.state
        is_complete = known is not None and self._contents.is_complete(known.content_hash)
        if known is not None and unchanged and is_complete and not self._wanted.verify:
            self._keep(known, said)
            return
        failure = self._failures.get(found.path)
        if failure is not None and not self._worth_another_try(failure, found.state):
            self.plan.failed_before.append(failure)
            return
        self.plan.jobs.append(
            Job(
                self._collection.id,
                self._collection.root,
                found.path,
                found.state,
                said.description,
                said.digest,
                self._wanted.features,
                self._contents.lacking([known.content_hash] if known else []),
            )
        )

    def _keep(self, known: KnownFile, said: Said) -> None:
        if known.path in self._failures:
            self.plan.gone_failures.append(known.path)
        if known.missing:
            self.plan.returned.append(known.id)
        if said.digest not in (known.sidecar_digest, UNREAD):
            merged = merge(said.description, Description.from_mapping(known.embedded))
            self.plan.redescriptions.append(Redescription(known.id, merged, said.digest))
        self.plan.n_unchanged += 1

    def _worth_another_try(self, failure: Failure, state: FileState) -> bool:
        may_have_passed = failure.stage in (READ_STAGE, SCAN_STAGE, WORKER_STAGE)
        return self._wanted.retry or may_have_passed or failure.state != state

    def _note_absent(self, present: set[str], scanner: Scanner | RemoteScanner) -> None:
        out_of_sight = scanner.unreadable_folders
        looked_at = {entry.path for entry in self.plan.unreadable}

        def is_gone(path: str) -> bool:
            return (
                path not in present
                and path not in looked_at
                and _is_below(path, scanner.scope)
                and not any(_is_below(path, folder) for folder in out_of_sight)
            )

        self.plan.missing += [
            file.id for file in self._known.values() if not file.missing and is_gone(file.path)
        ]
        self.plan.gone_failures += [path for path in self._failures if is_gone(path)]


def _is_below(path: str, folder: str) -> bool:
    return folder in ("", ".") or path == folder or path.startswith(f"{folder}/")
