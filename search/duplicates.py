"""What in an archive is a copy of what, and which passages of one recording are in another.

Sounds with next to no landmarks, such as silence or a single click, are compared with nothing, but
for their bytes.
"""

import enum
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from db.catalogue import Catalogue
from db.overview import count_recordings, count_without_landmarks
from db.records import RecordingInfo
from db.storage import file_at
from indexer.fingerprint import DEFAULT_FINGERPRINTER, load_fingerprinter
from indexer.fingerprint_places import open_fingerprints
from search.alignment import Passage
from search.comparison import Comparison, Shared
from search.seeds import find_seeds

_SPEEDS = (1.0, 0.9975, 1.0025, 0.995, 1.005)
_MIN_OVERLAP_S = 5.0
_EQUALLY_LONG_S = 0.5  # codecs add or take away some milliseconds


class Kind(enum.Enum):
    """How two recordings, or the files of one, are the same."""

    IDENTICAL = "identical"
    COPY = "copy"
    EXCERPT = "excerpt"


@dataclass(frozen=True, slots=True)
class Overlap:
    """A passage that two recordings have in common; times in seconds.

    Attributes
    ----------
    share : float
        Share of the landmarks that are found again, above what chance gives, 0 to 1.
    score : float
        How many these are.
    """

    first_onset_s: float
    first_offset_s: float
    second_onset_s: float
    second_offset_s: float
    share: float
    score: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two recordings that share sound.

    Attributes
    ----------
    kind : Kind
        `Kind.COPY`: the one is the other in another codec, at another level, trimmed by up to a
        quarter.
        `Kind.EXCERPT`: a passage of the one is in the other.
    first, second : RecordingInfo
        The longer first; of equals that without loss, with more channels, at the higher rate.
    overlaps : tuple of Overlap
        In order of time.
    speed, pitch : float
        How many times as fast and as high as the first the second is.
    score : float
        Of all overlaps together.
    """

    kind: Kind
    first: RecordingInfo
    second: RecordingInfo
    overlaps: tuple[Overlap, ...]
    speed: float
    pitch: float
    score: float


@dataclass(frozen=True, slots=True)
class Group:
    """Recordings that are the same, one recording in several files, or both.

    Attributes
    ----------
    recordings : tuple of RecordingInfo
        In the order of `Pair.first` and `Pair.second`.
    pairs : tuple of Pair
        Copies that lead from each to every other; the surest first.
    """

    recordings: tuple[RecordingInfo, ...]
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What an archive holds more than once.

    Attributes
    ----------
    groups : tuple of Group
        Those with most files first.
    excerpts : tuple of Pair
        The surest first.
    notes : tuple of str
        What could not be compared, and why, in words; empty when everything was.
    """

    groups: tuple[Group, ...]
    excerpts: tuple[Pair, ...]
    notes: tuple[str, ...] = ()


def find_duplicates(
    catalogue: Catalogue,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    min_overlap_s: float = _MIN_OVERLAP_S,
) -> Duplicates:
    """Find what an archive holds more than once.

    Time grows with the length of the archive, not with its square, since as much is looked up for
    each part of it however large the rest is.

    Parameters
    ----------
    on_progress
        Told how much of how much has been compared.
    min_overlap_s : float
        The shortest passage that is reported as an excerpt, in seconds. A copy may be shorter.

    Returns
    -------
    Duplicates
        Without fingerprints, only files with the same bytes are found; `Duplicates.notes` says so.
    """
    fingerprinter = load_fingerprinter(DEFAULT_FINGERPRINTER)
    shared: list[Shared] = []
    notes: list[str] = []
    if fingerprinter.id in {scheme.name for scheme in catalogue.schemes()}:
        index = open_fingerprints(catalogue, fingerprinter)
        comparison = Comparison(index, fingerprinter.frame_s, min_overlap_s)
        for first_id, seeds in find_seeds(
            index, fingerprinter.keys, speeds=_SPEEDS, on_progress=on_progress
        ):
            shared += comparison.compare(first_id, seeds)
        notes += index.notes
    notes += _notes(catalogue, fingerprinter.id)
    copies, excerpts = _pairs(catalogue, shared, fingerprinter.frame_s)
    in_several = _recordings(catalogue, catalogue.recordings_in_several_files()).values()
    several = [recording for recording in in_several if len(recording.files) > 1]
    return Duplicates(_groups(copies, several), tuple(excerpts), tuple(notes))


def _recordings(catalogue: Catalogue, ids: Iterable[int]) -> dict[int, RecordingInfo]:
    """Return recordings with each of their files once.

    A file that two collections hold, of which one lies within the other, is no copy of itself.
    """
    found = {}
    for recording in catalogue.recordings(ids).values():
        by_place = {str(file_at(file.root, file.path)): file for file in recording.files[::-1]}
        files = tuple(file for file in recording.files if file in by_place.values())
        found[recording.id] = replace(recording, files=files)
    return found


def _pairs(
    catalogue: Catalogue, shared: list[Shared], frame_s: float
) -> tuple[list[Pair], list[Pair]]:
    """Return copies and excerpts, the surest first."""
    ids = {id_ for one in shared for id_ in (one.first_id, one.second_id)}
    recordings = _recordings(catalogue, ids)
    pairs = [
        _pair(one, recordings[one.first_id], recordings[one.second_id], frame_s)
        for one in shared
        # What was forgotten meanwhile is no duplicate any more.
        if one.first_id in recordings and one.second_id in recordings
    ]
    pairs.sort(key=lambda pair: (-pair.score, pair.first.id, pair.second.id))
    copies = [pair for pair in pairs if pair.kind is Kind.COPY]
    return copies, [pair for pair in pairs if pair.kind is Kind.EXCERPT]


def _notes(catalogue: Catalogue, scheme: str) -> Iterator[str]:
    n_recordings = count_recordings(catalogue)
    if n_recordings == 0:
        yield "the catalogue holds no recordings: `echoic index FOLDER` takes them in"
    n_without = n_recordings - len(catalogue.recordings_with_fingerprint(scheme))
    if n_without > 0:
        yield (
            f"{n_without} of {n_recordings} recordings have no fingerprint and were compared by "
            "their bytes only: `echoic index FOLDER` makes them"
        )
    n_empty = count_without_landmarks(catalogue, scheme)
    if n_empty > 0:
        yield (
            f"{n_empty} of {n_recordings} recordings have nothing that could be compared but their "
            "bytes: they are silent, or very short, or their channels cancel out (`echoic show` "
            "warns of that)"
        )


def _pair(shared: Shared, first: RecordingInfo, second: RecordingInfo, frame_s: float) -> Pair:
    overlaps = [_overlap(passage, first, second, frame_s) for passage in shared.passages]
    speed = shared.passages[0].line.speed
    if _in_order([first, second])[0] is second:
        first, second, speed = second, first, 1 / speed
        overlaps = [_turned(overlap) for overlap in overlaps]
    overlaps.sort(key=lambda one: (one.first_onset_s, one.second_onset_s))
    score = sum(passage.excess for passage in shared.passages)
    kind = Kind.COPY if shared.is_copy else Kind.EXCERPT
    return Pair(kind, first, second, tuple(overlaps), speed, speed, score)


def _in_order(recordings: list[RecordingInfo]) -> list[RecordingInfo]:
    """Put first what is likely to be kept; in whatever order an archive was indexed."""
    longest_s = max(recording.technical.duration_s for recording in recordings)

    def place(recording: RecordingInfo) -> tuple[int, bool, int, int, list[tuple[str, str]], int]:
        technical = recording.technical
        return (
            int((longest_s - technical.duration_s) / _EQUALLY_LONG_S),
            technical.bit_depth is None,
            -technical.channels,
            -technical.sample_rate,
            sorted((file.collection, file.path) for file in recording.files),
            recording.id,
        )

    return sorted(recordings, key=place)


def _overlap(
    passage: Passage, first: RecordingInfo, second: RecordingInfo, frame_s: float
) -> Overlap:
    """Return a passage in seconds; the last frame may reach beyond the end of a recording."""
    first_s, second_s = (
        [min(max(0.0, frame * frame_s), recording.technical.duration_s) for frame in frames]
        for frames, recording in ((passage.first, first), (passage.second, second))
    )
    return Overlap(first_s[0], first_s[1], second_s[0], second_s[1], passage.share, passage.excess)


def _turned(overlap: Overlap) -> Overlap:
    return Overlap(
        overlap.second_onset_s,
        overlap.second_offset_s,
        overlap.first_onset_s,
        overlap.first_offset_s,
        overlap.share,
        overlap.score,
    )


def _groups(copies: list[Pair], several: Iterable[RecordingInfo]) -> tuple[Group, ...]:
    """Join recordings that copies connect; those in several files are a group of their own."""
    recordings = {recording.id: recording for recording in several}
    for pair in copies:
        recordings |= {pair.first.id: pair.first, pair.second.id: pair.second}
    leaders = {id_: id_ for id_ in recordings}

    def leader(id_: int) -> int:
        while leaders[id_] != id_:
            leaders[id_] = leaders[leaders[id_]]
            id_ = leaders[id_]
        return id_

    for pair in copies:
        leaders[leader(pair.first.id)] = leader(pair.second.id)
    members: dict[int, list[RecordingInfo]] = defaultdict(list)
    for id_, recording in recordings.items():
        members[leader(id_)].append(recording)
    of_group: dict[int, list[Pair]] = defaultdict(list)
    for pair in copies:
        of_group[leader(pair.first.id)].append(pair)
    groups = [
        Group(tuple(_in_order(group)), tuple(of_group[number])) for number, group in members.items()
    ]
    groups.sort(key=lambda one: (-_n_files(one), one.recordings[0].id))
    return tuple(groups)


def _n_files(group: Group) -> int:
    return sum(len(recording.files) for recording in group.recordings)
