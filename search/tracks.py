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

_ECHO = 0.5
"""What a passage resembles itself by a beat later scores less than this share of the passage."""


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

    def is_echo_of(self, other: "Sighting") -> bool:
        """Tell whether this is but what a better sighting is like a moment earlier or later."""
        if self.recording_id != other.recording_id or self.score >= _ECHO * other.score:
            return False
        mine = self.at(self.query_onset_s), self.at(self.query_offset_s)
        theirs = other.at(other.query_onset_s), other.at(other.query_offset_s)
        return _shared_s(mine, theirs) > _OVERLAP * (mine[1] - mine[0])


@dataclass(frozen=True, slots=True)
class Track:
    """A recording heard over one or more parts of a query.

    Attributes
    ----------
    best : Sighting
        The surest of its sightings.
    n_parts : int
        How many parts it was heard in.
    """

    recording_id: int
    query_onset_s: float
    query_offset_s: float
    best: Sighting
    last: Sighting
    n_parts: int
    p_false: float

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
        return self.query_onset_s, self.query_offset_s

    def in_recording(self) -> tuple[float, float]:
        """Return onset and offset in the recording, in seconds."""
        return self.best.at(self.query_onset_s), self.last.at(self.query_offset_s)


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
    for sighting in sightings:
        for chain in reversed(chains):
            gap_s = sighting.query_onset_s - chain[-1].query_offset_s
            if gap_s <= _LONGEST_GAP_S and sighting.is_same_place(chain[-1]):
                chain.append(sighting)
                break
        else:
            chains.append([sighting])
    tracks = [_track(chain, n_parts) for chain in chains]
    return sorted(tracks, key=lambda track: (track.query_onset_s, -track.score))


def without_overlaps(tracks: list[Track]) -> list[Track]:
    """Leave out tracks of which half lies under a surer one; the order stays."""
    kept: list[Track] = []
    for track in sorted(tracks, key=lambda track: (track.p_false, -track.score)):
        span = track.in_query()
        length_s = max(span[1] - span[0], 1e-3)
        if not any(_shared_s(span, other.in_query()) > _OVERLAP * length_s for other in kept):
            kept.append(track)
    return [track for track in tracks if track in kept]


def _shared_s(one: tuple[float, float], other: tuple[float, float]) -> float:
    return min(one[1], other[1]) - max(one[0], other[0])


def _track(chain: list[Sighting], n_parts: int) -> Track:
    best = min(chain, key=lambda sighting: (sighting.p_false, -sighting.score))
    # Parts overlap by half: only every second one is evidence of its own.
    others = chain[chain.index(best) % 2 :: 2]
    support = math.prod(max(other.p_false, _MOST_SUPPORT) for other in others if other is not best)
    return Track(
        best.recording_id,
        min(sighting.query_onset_s for sighting in chain),
        max(sighting.query_offset_s for sighting in chain),
        best,
        chain[-1],
        len(chain),
        min(1.0, n_parts * best.p_false * support),
    )
