"""Which recording is this, and where in it: excerpts and whole programmes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest

import numpy as np
from numpy.typing import NDArray

from db.catalogue import Catalogue
from db.content import content_hash
from db.overview import count_recordings
from db.records import RecordingInfo
from db.storage import AnyFile
from indexer.errors import AudioError
from indexer.fingerprint_places import open_fingerprints
from indexer.landmarks import LandmarkFingerprinter
from search.changes import changes_within
from search.errors import QueryError
from search.fingerprint_candidates import Candidate
from search.identify import Matcher
from search.rehearing import OnUnread, RecordedSound, Rehearing, pass_over
from search.scan import ArchiveScan
from search.significance import Law
from search.too_little import SHORTEST_S
from search.tracks import Sighting, Track, played, tracks_of

MAX_CHANGE = 0.024
"""How far speed and pitch are searched by default: the tolerance of turntables and tape decks."""

EXCERPT_S = 15.0
"""A query up to this long is one excerpt, a longer one is a programme and looked at in parts."""

_PART_S, _HOP_S = 10.0, 5.0
SURE = (1e-5, 1e-4)
"""Probabilities of a false match at which the search stops after its first and second effort."""

WORTH_KEEPING = 0.1
"""Parts of a programme with at most this probability are kept: neighbours may confirm them."""

_PLACES_EACH = 8
"""So many places of a recording are kept of a part: which one it is, its neighbours tell."""

_RIVAL = 0.75
"""Recordings with at least this share of the best score may hold the same sound as the best."""


@dataclass(frozen=True, slots=True)
class Match:
    """A recording that was found in a query.

    Attributes
    ----------
    onset_s, offset_s : float
        The part of the recording, in seconds.
    query_onset_s, query_offset_s : float
        The part of the query that it was found in.
    speed : float
        How many times as fast as the recording the query runs.
    pitch : float
        How many times as high it sounds.
    score : float
    p_false : float
        Probability that a query which is not in this archive gets such a score.
    """

    recording: RecordingInfo
    onset_s: float
    offset_s: float
    query_onset_s: float
    query_offset_s: float
    speed: float
    pitch: float
    score: float
    p_false: float


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A part of a query: its onset in seconds, its sound, and whether that is all of the query.

    All of a query is looked for harder: parts of a programme have neighbours.
    """

    onset_s: float
    samples: NDArray[np.float32]
    is_all: bool


class FingerprintEngine:
    """Identifies sounds by the fingerprints of one catalogue.

    Reads only; what other processes commit is found by the next query.

    Parameters
    ----------
    max_change : float
        How far speed and pitch may be off, as a share: 0.1 for a tape that runs up to 10 % too
        fast or too slow. Beyond the default, changes of tempo alone are tried as well, and a query
        that matches nothing takes several times as long.
    reads_files : bool
        Whether the recordings' files are read where fingerprints leave a doubt.

    Raises
    ------
    UnknownName
        If the catalogue holds no fingerprints.
    """

    def __init__(
        self, catalogue: Catalogue, *, max_change: float = MAX_CHANGE, reads_files: bool = True
    ) -> None:
        self._catalogue = catalogue
        self._fingerprinter = LandmarkFingerprinter()
        self._index = open_fingerprints(catalogue, self._fingerprinter)
        self._scan = ArchiveScan(self._index)
        self._sound = RecordedSound(catalogue, self._index, self._fingerprinter)
        self._reads_files = reads_files
        kinds = ("speed", "pitch", "tempo") if max_change > MAX_CHANGE else ("speed", "pitch")
        self._changes = changes_within(max_change, kinds=kinds)

    @property
    def notes(self) -> list[str]:
        """What cannot be found, and what is wrong with the index, in words."""
        notes = list(self._index.notes)
        n_all = count_recordings(self._catalogue)
        n_without = n_all - len(self._index.recording_ids)
        if n_without > 0:
            notes.append(
                f"{n_without} of {n_all} recordings have no fingerprint and cannot be found: "
                "`echoic index FOLDER` makes them"
            )
        return notes

    def identical(self, path: AnyFile) -> RecordingInfo | None:
        """Return the recording in the catalogue that has the very bytes of a file, if any.

        Raises
        ------
        AudioError
            If the file cannot be read.
        """
        try:
            id_ = self._catalogue.with_hash(content_hash(path))
        except OSError as error:
            raise AudioError(f"{path}: {error.strerror}") from error
        return None if id_ is None else self._catalogue.recordings([id_]).get(id_)

    @property
    def sample_rate(self) -> int:
        """Rate in Hz of the samples that are taken."""
        return self._fingerprinter.sample_rate

    @property
    def archive_s(self) -> float:
        """Length of everything that is searched, in seconds."""
        return self._index.n_frames * self._fingerprinter.frame_s

    def identify(
        self,
        path: AnyFile,
        *,
        from_s: float | None = None,
        to_s: float | None = None,
        p_false: float = 1e-3,
        all_occurrences: bool = False,
        limit: int | None = None,
        on_progress: Callable[[float], None] | None = None,
        on_unread: OnUnread | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> list[Match]:
        """Find which recordings a file, or a part of it, was taken from.

        An excerpt of some seconds gives the one best match, or every place where it occurs. In a
        longer file it is found what was played when, in order.

        Parameters
        ----------
        from_s, to_s : float, optional
            The part of the file, in seconds.
        p_false : float
            The probability of a false match, for the whole query, that is accepted.
        all_occurrences : bool
            Every place instead of the best only.
        limit : int, optional
            Of all that is found, at most so many: those with the highest scores.
        on_progress
            Told up to which time of the file, in seconds, it has been looked at.
        on_unread
            Told of recordings that may match and could not be read: `unread_note` has the words.
        on_warning
            Told what is wrong with the file though it could be read, such as its end cut off; not
            of a part that ends before the file does.

        Returns
        -------
        list of Match
            Empty if nothing is significant. Times in the query count from its file's start.

        Raises
        ------
        AudioError
            If the file cannot be decoded or has no such part.
        QueryError
            If `p_false` is not a probability.
        """
        from indexer.mono import mono_blocks  # decoders, which other questions need not load

        start_s = from_s or 0.0
        blocks = mono_blocks(
            path, self.sample_rate, from_s=start_s, to_s=to_s, on_warning=on_warning
        )
        parts = self._parts(_named(path, blocks), start_s)
        if on_progress is not None:
            parts = _telling(parts, on_progress)
        found = self._identify(parts, p_false, on_unread or pass_over, every=all_occurrences)
        return found if limit is None else _strongest(found, limit)

    def identify_samples(
        self,
        samples: NDArray[np.float32],
        *,
        p_false: float = 1e-3,
        all_occurrences: bool = False,
    ) -> list[Match]:
        """Find which recordings a sound was taken from; see `identify`.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32
            Mono, at `sample_rate`. What is not a number counts as silence, as it does in files.

        Returns
        -------
        list of Match
            As `identify`; of recordings that could not be read nothing is told.

        Raises
        ------
        QueryError
            If `p_false` is not a probability.
        """
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
        parts = self._parts([samples], 0.0)
        return self._identify(parts, p_false, pass_over, every=all_occurrences)

    def _identify(
        self, parts: Iterable[_Part], p_false: float, on_unread: OnUnread, *, every: bool
    ) -> list[Match]:
        if not 0 < p_false < 1:
            raise QueryError(f"{p_false:g} is not a probability: give a number between 0 and 1")
        self._index.refresh()
        sightings, n_parts, unread = [], 0, dict[int, str]()
        for part in parts:
            sightings += self._sightings(part, p_false, unread.__setitem__, every=every)
            n_parts += 1
        if every:
            tracks = [t for t in tracks_of(sightings, n_parts=n_parts) if t.p_false <= p_false]
        elif n_parts == 1:
            # No neighbour tells which of its places a recording was heard at: the best it is.
            first = {one.recording_id: one for one in reversed(sightings)}
            sightings = [one for one in sightings if first[one.recording_id] is one]
            tracks = played(sightings, n_parts=1, p_false=p_false)
        else:
            tracks = played(sightings, n_parts=n_parts, p_false=p_false)
        if n_parts == 1:
            tracks.sort(key=lambda track: -track.score)
        # Where another recording is the answer for sure, nobody misses those.
        is_sure = not every and bool(tracks) and tracks[0].p_false <= SURE[0]
        answers = {track.recording_id for track in tracks}
        for recording_id, reason in unread.items():
            if not is_sure or recording_id in answers:
                on_unread(recording_id, reason)
        return self._matches(tracks)

    def _parts(self, blocks: Iterable[NDArray[np.float32]], from_s: float) -> Iterator[_Part]:
        """Yield the parts of a query."""
        sr = self.sample_rate
        excerpt, part, hop = (round(s * sr) for s in (EXCERPT_S, _PART_S, _HOP_S))
        held, n_given = np.empty(0, dtype=np.float32), 0
        for block in blocks:
            held = np.concatenate([held, block])
            while len(held) > excerpt:
                yield _Part(from_s + n_given / sr, held[:part], is_all=False)
                held = held[hop:]
                n_given += hop
        yield _Part(from_s + n_given / sr, held, is_all=n_given == 0)

    def _sightings(
        self, part: _Part, accepted_p: float, on_unread: OnUnread, *, every: bool
    ) -> list[Sighting]:
        """Return what may be heard in one part, the best first.

        Every place; or those that come near the best, since an archive may hold copies of what is
        heard, and music repeats itself: neighbouring parts have to agree on one.
        """
        duration_s = len(part.samples) / self.sample_rate
        if duration_s < SHORTEST_S:
            return []
        worth_keeping = max(accepted_p, WORTH_KEEPING)
        law = Law.of(
            duration_s=duration_s,
            archive_s=self.archive_s,
            n_changes=len(self._changes),
            every=every,
        )
        matcher = Matcher(
            self._index,
            self._fingerprinter,
            sure=(law.threshold(SURE[0]), law.threshold(SURE[1])),
            changes=self._changes,
            scan=self._scan if part.is_all and self._scan.is_possible else None,
            least=law.threshold(worth_keeping),
            rehearing=self._rehearing(law, on_unread) if part.is_all else None,
        )
        sightings: list[Sighting] = []
        for candidate in matcher.candidates(part.samples, every=every):
            score = candidate.score
            p_false = law.p_false(score)
            if p_false > worth_keeping:
                break
            if not every and sightings and score < _RIVAL * sightings[0].score:
                break
            sighting = self._sighting(candidate, part.onset_s, p_false)
            if sighting is not None:
                sightings.append(sighting)
        return _apart(sightings) if every else _few_each(sightings)

    def _rehearing(self, law: Law, on_unread: OnUnread) -> Rehearing | None:
        if not self._reads_files:
            return None
        return Rehearing(self._sound, law, self._fingerprinter, on_unread=on_unread)

    def _sighting(self, candidate: Candidate, onset_s: float, p_false: float) -> Sighting | None:
        evidence, frame_s = candidate.evidence, self._fingerprinter.frame_s
        first, last = candidate.extent
        middle = round(evidence.frame + (first + last) / 2 * candidate.change.speed)
        ids, within = self._index.locate(np.array([middle], dtype=np.int64))
        if ids[0] < 0:
            return None  # it has been removed since
        return Sighting(
            int(ids[0]),
            (float(evidence.frame) - middle + int(within[0])) * frame_s,
            onset_s,
            onset_s + first * frame_s,
            onset_s + last * frame_s,
            candidate.change,
            candidate.score,
            p_false,
        )

    def _matches(self, tracks: list[Track]) -> list[Match]:
        recordings = self._catalogue.recordings({track.recording_id for track in tracks})
        return [
            self._match(track, recordings[track.recording_id])
            for track in tracks
            if track.recording_id in recordings
        ]

    def _match(self, track: Track, recording: RecordingInfo) -> Match:
        # What was found by its sound may overhang the recording's beginning or end.
        onset_s, offset_s = track.in_recording()
        query_onset_s, query_offset_s = track.in_query()
        before_s = max(0.0, -onset_s)
        after_s = max(0.0, offset_s - recording.technical.duration_s)
        return Match(
            recording,
            onset_s + before_s,
            offset_s - after_s,
            query_onset_s + before_s / track.change.speed,
            query_offset_s - after_s / track.change.speed,
            track.change.speed,
            track.change.pitch,
            track.score,
            track.p_false,
        )


def _apart(sightings: list[Sighting]) -> list[Sighting]:
    """Leave out what a better one covers."""
    kept: list[Sighting] = []
    for sighting in sightings:
        if not any(map(sighting.is_covered_by, kept)):
            kept.append(sighting)
    return kept


def _few_each(sightings: list[Sighting]) -> list[Sighting]:
    """Leave out all but the best places of each recording; a place counts once."""
    n_kept = Counter[int]()
    kept: list[Sighting] = []
    for sighting in sightings:
        if any(map(sighting.is_same_place, kept)):
            continue
        n_kept[sighting.recording_id] += 1
        if n_kept[sighting.recording_id] <= _PLACES_EACH:
            kept.append(sighting)
    return kept


def _strongest(matches: list[Match], limit: int) -> list[Match]:
    """Leave out all but the highest scores; the order stays."""
    kept = set(map(id, nlargest(limit, matches, key=lambda match: match.score)))
    return [match for match in matches if id(match) in kept]


def _telling(parts: Iterator[_Part], on_progress: Callable[[float], None]) -> Iterator[_Part]:
    for part in parts:
        yield part
        on_progress(part.onset_s)


def _named(path: AnyFile, blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Pass blocks on; say which file it is that cannot be decoded."""
    try:
        yield from blocks
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
