"""From what is heard in each part of a programme to what was played when."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from indexer.landmarks import Change

_SAME_LINE_S = 0.25
"""Two parts hear one recording run on if they agree on its time to this."""

_SAME_CHANGE = 0.006
_LONGEST_GAP_S = 15.0
"""Speech over music, an advertisement: after a longer gap it counts as played again."""

_MOST_SUPPORT = 0.1
"""A further part lowers the probability of a false match to a tenth at most: what resembles a
recording in one part, by the same drum machine say, easily does so in the next."""

_OVERLAP = 0.5
"""What shares more than this with a better one is not told beside it."""

_LEAST_P = 1e-300


@dataclass(frozen=True, slots=True)
class Sighting:
    """A recording heard in one part of a query.

    Attributes
    ----------
    start_s : float
        Time in the recording at which the part begins; negative if the part begins before it.
    part_onset_s : float
        Where the part begins in the query.
    query_onset_s, query_offset_s : float
        The stretch of the query in which the recording is heard.
    """

    recording_id: int
    start_s: float
    part_onset_s: float
    query_onset_s: float
    query_offset_s: float
    change: Change
    score: float
    p_false: float

    def at(self, query_s: float) -> float:
        """Return the time in the recording that a time in the query corresponds to."""
        return self.start_s + (query_s - self.part_onset_s) * self.change.speed

    def is_same_place(self, other: "Sighting") -> bool:
        """Tell whether another sighting has the same recording running at the same time."""
        middle_s = (self.query_onset_s + self.query_offset_s) / 2
        return (
            self.recording_id == other.recording_id
            and abs(self.change.speed - other.change.speed) <= _SAME_CHANGE
            and abs(self.change.pitch - other.change.pitch) <= _SAME_CHANGE
            and abs(self.at(middle_s) - other.at(middle_s)) <= _SAME_LINE_S
        )

    def is_covered_by(self, other: "Sighting") -> bool:
        """Tell whether a better sighting is in much the same passage of the same recording.

        What repeats itself is like itself a beat earlier and later; that is no other occurrence.
        """
        if self.recording_id != other.recording_id:
            return False
        mine = self.at(self.query_onset_s), self.at(self.query_offset_s)
        theirs = other.at(other.query_onset_s), other.at(other.query_offset_s)
        return _shared_s(mine, theirs) > _OVERLAP * (mine[1] - mine[0])


@dataclass(frozen=True, slots=True)
class Track:
    """A recording heard over one or more parts of a query.

    Attributes
    ----------
    sightings : tuple of Sighting
        In order of time, at least one.
    best : Sighting
        The surest of them.
    p_false : float
        Probability that it is heard in a query that does not hold it.
    """

    sightings: tuple[Sighting, ...]
    best: Sighting
    p_false: float

    @property
    def recording_id(self) -> int:
        """The recording that is heard."""
        return self.best.recording_id

    @property
    def change(self) -> Change:
        """How the query was changed against the recording."""
        return self.best.change

    @property
    def score(self) -> float:
        """That of the surest part."""
        return self.best.score

    def in_query(self) -> tuple[float, float]:
        """Return onset and offset in the query, in seconds."""
        return (
            min(sighting.query_onset_s for sighting in self.sightings),
            max(sighting.query_offset_s for sighting in self.sightings),
        )

    def in_recording(self) -> tuple[float, float]:
        """Return onset and offset in the recording, in seconds."""
        # Each end by the part next to it: a speed that is told slightly wrong adds up.
        onset_s, offset_s = self.in_query()
        return self.sightings[0].at(onset_s), self.sightings[-1].at(offset_s)


def tracks_of(sightings: Iterable[Sighting], *, n_parts: int) -> list[Track]:
    """Join sightings, given in order of time, to tracks.

    Parameters
    ----------
    n_parts : int
        How many parts were looked at: so many chances for a false match there were.

    Returns
    -------
    list of Track
        By onset in the query.
    """
    chains: list[list[Sighting]] = []
    open_chains: list[list[Sighting]] = []
    for sighting in sightings:
        earliest_s = sighting.query_onset_s - _LONGEST_GAP_S
        open_chains = [one for one in open_chains if one[-1].query_offset_s >= earliest_s]
        for chain in reversed(open_chains):
            if sighting.is_same_place(chain[-1]):
                chain.append(sighting)
                break
        else:
            chains.append([sighting])
            open_chains.append(chains[-1])
    tracks = [_track(chain, n_parts) for chain in chains]
    return sorted(tracks, key=lambda track: (track.in_query()[0], -track.score))


def played(sightings: Iterable[Sighting], *, n_parts: int, p_false: float) -> list[Track]:
    """Return what was played when, one recording at a time.

    Of several recordings that hold the same sound that which explains most of a stretch is taken;
    what it leaves of the others' stretches is theirs.

    Parameters
    ----------
    sightings
        In order of time; of one part, the best first.
    n_parts : int
        As in `tracks_of`.
    p_false : float
        What a track's probability may be at most.
    """
    left = list(sightings)
    order = {id(sighting): number for number, sighting in enumerate(left)}
    kept: list[Track] = []
    while tracks := [t for t in tracks_of(left, n_parts=n_parts) if t.p_false <= p_false]:
        # Repetitions may be equally sure: then the order says which it is.
        track = max(tracks, key=lambda one: (_total(one), -order[id(one.sightings[0])]))
        kept.append(track)
        span = track.in_query()
        left = [one for one in left if not _is_under(one, span)]
    return sorted(kept, key=lambda track: track.in_query()[0])


def _total(track: Track) -> float:
    return sum(sighting.score for sighting in track.sightings)


def _is_under(sighting: Sighting, span: tuple[float, float]) -> bool:
    own = sighting.query_onset_s, sighting.query_offset_s
    return _shared_s(own, span) > _OVERLAP * (own[1] - own[0]) or own[0] == own[1]


def _shared_s(one: tuple[float, float], other: tuple[float, float]) -> float:
    return min(one[1], other[1]) - max(one[0], other[0])


def _track(chain: list[Sighting], n_parts: int) -> Track:
    of_part: dict[float, Sighting] = {}
    for sighting in sorted(chain, key=lambda one: (one.part_onset_s, one.p_false, -one.score)):
        of_part.setdefault(sighting.part_onset_s, sighting)
    parts = list(of_part.values())
    best = min(parts, key=lambda sighting: (sighting.p_false, -sighting.score))
    # Parts overlap by half: only every second one is evidence of its own.
    others = parts[parts.index(best) % 2 :: 2]
    support = math.prod(max(other.p_false, _MOST_SUPPORT) for other in others if other is not best)
    return Track(tuple(chain), best, min(1.0, max(_LEAST_P, n_parts * best.p_false * support)))
