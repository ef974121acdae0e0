"""Find where a short stretch of sound lies in the archive, if it does."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from db.archive_frames import Postings
from indexer.landmarks import UNCHANGED, Change, LandmarkFingerprinter, QueryPeaks
from search.changes import scaled
from search.evidence import Evidence
from search.fingerprint_candidates import (
    MUCH_ALIKE,
    Candidate,
    best_score,
    is_alike,
    is_of_its_kind,
    ranked,
    rivals,
)
from search.rehearing import Rehearing
from search.scan import ArchiveScan
from search.verification import Verifier
from search.voting import Place, vote

_POSTINGS_AT_MOST, _POSTINGS_THOROUGH, _POSTINGS_CHANGED = 100_000, 200_000, 60_000
"""Lookups return no more, at first, when thorough, and for each change; rare keys go first. They
bound the time of a query in a large archive; keys that are not rare hardly help there."""

_FEW, _MANY = 6, 96  # places that are weighed: at first, and when those gave nothing
_BEST_LOOKING = 32  # of the other places that are weighed when those gave nothing either
_LOOKED_AT = 0.6  # what it costs a place to be chosen by its looks: chance was looked at, too
_WORTH = 0.25  # of the most votes; at first, only places that have as many are weighed
_ALONE = 0.5  # of its votes; a place is alone where no other has as many
_REPEATS = 32  # places that are weighed to tell repetitions apart
_TRIED = 32  # places that are weighed of all changes together
_EVERY = 1024  # places that are looked at at most; weighed if all occurrences are asked for
_PER_CHANGE = 3  # places that are kept of each change of speed and pitch that is tried
_REFINE = (-0.0024, -0.0016, -0.0008, 0.0008, 0.0016, 0.0024)
_REFINED = 4  # candidates around which smaller steps are tried
_BEAT = 0.7  # as a share; what fits better than that a beat or bar away is explained by it
_NEAR = 0.75  # of the best score; what reaches it may be told as well
_FINE, _MOST_FINE = 0.0008, 24  # steps beyond, for a change larger than any that was tried
_AS_ALIKE = 0.9  # times the best likeness; landmarks do not tell apart what reaches that
_SAME_PLACE = 8  # frames, to which places are found
_CLEARLY = 1.1  # times the likeness without a change is what speaks for one
_COVERED = 0.75  # of the query; where less of it is matched, a slight change may be why


class Archive(Protocol):
    """The part of `db.archive_frames.ArchiveFrames` that identification needs."""

    def lookup(self, keys: NDArray[np.uint32], *, budget: int | None = None) -> Postings: ...

    def landmarks(
        self, first_frame: int, end_frame: int
    ) -> tuple[NDArray[np.int64], NDArray[np.uint16]]: ...

    def expect(self, spans: Iterable[tuple[int, int]]) -> None: ...


class Matcher:
    """Finds candidates for stretches of some seconds.

    Parameters
    ----------
    sure : tuple of float
        Scores at which the search ends after the first and the second effort.
    changes : sequence of Change
        What is tried last.
    scan : ArchiveScan, optional
        Looks at every place where votes lead to nothing sure; without it, at those with some votes.
    least : float
        The score from which on occurrences count when all are asked for.
    rehearing : Rehearing, optional
        Reads again what lies at the best places, unless their landmarks leave no doubt.
    """

    def __init__(
        self,
        archive: Archive,
        fingerprinter: LandmarkFingerprinter,
        *,
        sure: tuple[float, float],
        changes: Sequence[Change],
        scan: ArchiveScan | None = None,
        least: float = 0.0,
        rehearing: Rehearing | None = None,
    ) -> None:
        self._archive = archive
        self._fingerprinter = fingerprinter
        self._sure = sure
        self._changes = changes
        self._scan = scan
        self._least = least
        self._rehearing = rehearing

    def candidates(self, samples: NDArray[np.float32], *, every: bool = False) -> list[Candidate]:
        """Return candidates for a stretch of sound.

        Parameters
        ----------
        samples : ndarray, shape (n,), float32
            Mono, at the fingerprinter's rate.
        every
            Look at many places even where the first is sure.

        Returns
        -------
        list of Candidate
            Best first; none if it is silent.
        """
        peaks, spectrum = self._fingerprinter.query(samples)
        if not len(peaks.frames):
            return []
        if not every:
            verifier = Verifier(peaks, spectrum)
            found, is_alone = self._quickly(verifier, peaks)
            if best_score(found) >= self._sure[0] and is_alike(found, by_loud=is_alone):
                return self._settled(samples, verifier, peaks, self._tuned(verifier, found))
        second, _ = self._fingerprinter.query(samples, late=0.5)
        peaks = peaks.joined(second)
        verifier = Verifier(peaks, spectrum)
        found = self._thoroughly(verifier, peaks, every=every)
        is_sure = best_score(found) >= self._sure[1] and is_alike(found, by_loud=False)
        if is_sure:
            found = self._tuned(verifier, found)
        else:
            changed = self._beyond_beat(verifier, self._changed(verifier, peaks))
            found = self._all_beyond_beat(verifier, found)
            found = self._heard(samples, found, changed, every=every)
        if every:
            return self._all_beyond_beat(verifier, found)
        return self._settled(samples, verifier, peaks, found)

    def _heard(
        self,
        samples: NDArray[np.float32],
        found: list[Candidate],
        changed: list[Candidate],
        *,
        every: bool,
    ) -> list[Candidate]:
        """Return all candidates, those heard in recordings among them.

        If the query runs or sounds otherwise, sound does not tell: an engine that slows down,
        played a little faster, goes with itself some moments earlier.
        """
        heard = [] if self._rehearing is None else self._rehearing.heard(samples, found)
        if heard and best_score(changed) >= self._sure[1]:
            if changed[0].evidence.likeness > _CLEARLY * heard[0].evidence.likeness:
                heard = []
            elif best_score(heard) >= self._sure[1] and not every:
                changed = []
        return ranked([*heard, *_not_covered([*found, *changed], heard)])

    def _quickly(self, verifier: Verifier, peaks: QueryPeaks) -> tuple[list[Candidate], bool]:
        """Weigh the first places; say also whether no other has nearly as many votes as the best.

        A recording that repeats itself has many such places, in noise more than are weighed here.
        """
        places = self._places(peaks, UNCHANGED, _FEW, thorough=False, budget=_POSTINGS_AT_MOST)
        worth = [place for place in places if place.votes >= _WORTH * places[0].votes]
        found = self._weighed(verifier, worth, UNCHANGED, effort=0)
        found = self._beyond_beat(verifier, found)
        least = _ALONE * found[0].evidence.votes if found else 0.0
        return found, sum(place.votes >= least for place in places) == 1

    def _thoroughly(self, verifier: Verifier, peaks: QueryPeaks, *, every: bool) -> list[Candidate]:
        places = self._places(peaks, UNCHANGED, _EVERY, thorough=True, budget=_POSTINGS_THOROUGH)
        n_weighed = _EVERY if every else _MANY
        found = self._weighed(verifier, places[:n_weighed], UNCHANGED, effort=1)
        found = self._beyond_beat(verifier, found)
        if best_score(found) < self._sure[1]:
            found = ranked([*found, *self._best_looking(verifier, places[n_weighed:])])
        return self._beyond_beat(verifier, found)

    def _weighed(
        self, verifier: Verifier, places: Sequence[Place], change: Change, *, effort: int
    ) -> list[Candidate]:
        self._archive.expect(_span(verifier, place, change) for place in places)
        return ranked(
            Candidate(self._weigh(verifier, place, change), change, effort) for place in places
        )

    def _best_looking(self, verifier: Verifier, places: Sequence[Place]) -> Iterator[Candidate]:
        """Weigh places that few votes lead to, or none, but that look best.

        In noise the right place often has no more votes than thousands of others.
        """
        if self._scan is None:
            looking = self._glanced(verifier, places)
        else:
            frames = self._scan.best(verifier.unusual(), _BEST_LOOKING)
            looking = [Place(frame, 0.0) for frame in frames]
        for candidate in self._weighed(verifier, looking, UNCHANGED, effort=1):
            yield replace(candidate, price=_LOOKED_AT)

    def _glanced(self, verifier: Verifier, places: Sequence[Place]) -> list[Place]:
        """Return those of some places that look best."""
        if not places:
            return []
        spans = [_span(verifier, place, UNCHANGED) for place in places]
        self._archive.expect(spans)
        landmarks = [self._archive.landmarks(*span) for span in spans]
        looks = verifier.glance([place.frame for place in places], landmarks)
        best = np.argsort(-looks, kind="stable")[:_BEST_LOOKING]
        return [places[at] for at in best.tolist()]

    def _places(
        self, peaks: QueryPeaks, change: Change, n_places: int, *, thorough: bool, budget: int
    ) -> list[Place]:
        keys, times = self._fingerprinter.query_keys(peaks.undone(change), thorough=thorough)
        found = self._archive.lookup(keys, budget=budget)
        return vote(found, times, n_places)

    def _weigh(self, verifier: Verifier, place: Place, change: Change) -> Evidence:
        landmarks = self._archive.landmarks(*_span(verifier, place, change))
        return verifier.weigh(place.frame, place.votes, landmarks, change)

    def _changed(self, verifier: Verifier, peaks: QueryPeaks) -> list[Candidate]:
        """Try changes of speed and pitch, then look more closely around the best."""
        tried = [
            (place.votes, place, change)
            for change in self._changes
            for place in self._places(
                peaks, change, _PER_CHANGE, thorough=False, budget=_POSTINGS_CHANGED
            )
        ]
        tried.sort(key=lambda one: (-one[0], one[1].frame, one[2].speed, one[2].pitch))
        best = [(place, change) for _, place, change in tried[:_TRIED]]
        self._archive.expect(_span(verifier, place, change) for place, change in best)
        coarse = ranked(
            Candidate(self._weigh(verifier, place, change), change, 2) for place, change in best
        )
        return ranked([*coarse, *self._refined(verifier, coarse[:_REFINED])])

    def _beyond_beat(self, verifier: Verifier, found: list[Candidate]) -> list[Candidate]:
        """Take from the scores what a beat explains, until all that is near the best was asked.

        What a beat takes from a candidate it takes from all in the same stretch of the query; that
        a candidate stands says nothing of the others.
        """
        while found:
            near = _NEAR * best_score(found)
            asked = next((one for one in found if one.left is None and one.score >= near), None)
            if asked is None:
                break
            left = self._beyond(verifier, asked)
            found = ranked(
                replace(one, left=left)
                if one is asked or (left < 1 and is_of_its_kind(one, asked))
                else one
                for one in found
            )
        return found

    def _all_beyond_beat(self, verifier: Verifier, found: list[Candidate]) -> list[Candidate]:
        """Take from the score of each candidate that counts what a beat explains."""
        return ranked(
            replace(one, left=self._beyond(verifier, one))
            if one.left is None and one.score >= self._least
            else one
            for one in found
        )

    def _beyond(self, verifier: Verifier, candidate: Candidate) -> float:
        """Return the share of a candidate's score that a beat does not explain."""
        evidence = candidate.evidence
        if evidence.likeness >= MUCH_ALIKE:
            return 1.0
        span = _span(verifier, Place(evidence.frame, evidence.votes), candidate.change)
        landmarks = self._archive.landmarks(*span)
        share = verifier.recurrence(evidence, landmarks, candidate.change)
        return min(1.0, max(1.0 - share, 0.0) / (1.0 - _BEAT))

    def _tuned(self, verifier: Verifier, found: list[Candidate]) -> list[Candidate]:
        """Tell the best candidate's change of speed and pitch, if it seems to have one.

        A second or two of a tape at the wrong speed agree with the recording even so, and so do low
        notes of another pitch.
        """
        if not found or not self._changes:
            return found
        best = found[0]
        first, last = best.evidence.extent
        covered = last - first >= _COVERED * verifier.n_frames
        if covered and best.evidence.likeness >= MUCH_ALIKE:
            return found
        places = [_moved(best, change) for change in self._changes]
        spans = [
            _span(verifier, place, change)
            for place, change in zip(places, self._changes, strict=True)
        ]
        landmarks = self._archive.landmarks(
            min(begin for begin, _ in spans), max(end for _, end in spans)
        )
        begins = [place.frame for place in places]
        alike = verifier.likenesses(begins, self._changes, landmarks)
        likeliest = int(alike.argmax())
        if alike[likeliest] <= _CLEARLY * best.evidence.likeness:
            return found
        changed = self._changed_to(verifier, best, self._changes[likeliest])
        return ranked([*found, changed, *self._refined(verifier, [changed])])

    def _settled(
        self,
        samples: NDArray[np.float32],
        verifier: Verifier,
        peaks: QueryPeaks,
        found: list[Candidate],
    ) -> list[Candidate]:
        """Put the likeliest of several repetitions first, if the query lies in any.

        Music that repeats itself has many places that can be no chance; votes do not tell them
        apart, and a change of speed or pitch may have been found at the wrong one.
        """
        if best_score(found) < self._sure[1] or found[0].heard is not None:
            return found
        if found[0].effort == 2:
            found = ranked([*found, self._climbed(verifier, found[0])])
        best = found[0]
        if best.effort == 2 or len(rivals(found)) > 1:
            again = self._places(
                peaks, best.change, _REPEATS, thorough=True, budget=_POSTINGS_THOROUGH
            )
            repeated = self._weighed(verifier, again, best.change, effort=best.effort)
            found = ranked([*found, *repeated])
        found = self._beyond_beat(verifier, found)
        first = self._likeliest(samples, rivals(found))
        # That the query is there at all is as sure as for the best of them.
        score = best_score(found)
        if self._rehearing is not None:
            score = max(score, self._rehearing.surer(samples, first))
        surest = replace(first.evidence, score=score)
        best = replace(first, evidence=surest, price=0.0, left=1.0)
        return [best, *(one for one in found if one is not first)]

    def _likeliest(self, samples: NDArray[np.float32], repetitions: list[Candidate]) -> Candidate:
        """Tell repetitions apart: by landmarks, and those that are much alike by their sound."""
        by_likeness = sorted(repetitions, key=lambda one: -one.evidence.likeness)
        first = by_likeness[0]
        if self._rehearing is None or first.change != UNCHANGED:
            return first
        like = [
            one
            for one in by_likeness
            if one.change == UNCHANGED
            and one.evidence.likeness >= _AS_ALIKE * first.evidence.likeness
        ]
        return self._rehearing.likeliest(samples, like) if len(like) > 1 else first

    def _climbed(self, verifier: Verifier, best: Candidate) -> Candidate:
        """Change speed or pitch further, in small steps, as long as the score rises."""
        for step in (1 + _FINE, 1 - _FINE):
            for _ in range(_MOST_FINE):
                further = self._changed_to(verifier, best, scaled(best.change, step))
                if further.evidence.score <= best.evidence.score:
                    break
                best = further
        return best

    def _refined(self, verifier: Verifier, coarse: list[Candidate]) -> Iterator[Candidate]:
        for candidate in coarse:
            for step in _REFINE:
                yield self._changed_to(verifier, candidate, scaled(candidate.change, 1 + step))

    def _changed_to(self, verifier: Verifier, candidate: Candidate, change: Change) -> Candidate:
        """Weigh a candidate's place with another change, about the middle of what matched."""
        place = _moved(candidate, change)
        return Candidate(self._weigh(verifier, place, change), change, 2, candidate.price)


def _not_covered(others: list[Candidate], known: list[Candidate]) -> list[Candidate]:
    """Leave out what lies at a place that is known, and is no surer."""
    return [
        one
        for one in others
        if all(
            abs(one.evidence.frame - it.evidence.frame) > _SAME_PLACE or one.score > it.score
            for it in known
        )
    ]


def _span(verifier: Verifier, place: Place, change: Change) -> tuple[int, int]:
    """Return the frames of the archive that the query covers if it lies at a place."""
    return int(place.frame) - 4, int(place.frame + verifier.n_frames * change.speed) + 4


def _moved(candidate: Candidate, change: Change) -> Place:
    """Return where the query begins if it has another change, and its middle is where it was."""
    evidence = candidate.evidence
    first, last = evidence.extent
    moved = (first + last) / 2 * (candidate.change.speed - change.speed)
    return Place(evidence.frame + moved, evidence.votes)
