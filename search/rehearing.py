"""Read again what lies at the best places of a query, and lay the query over it.

Fingerprints find the places, and mostly that is enough. Where it is not, the files themselves tell
more: see `search.correlation`. A file that is not at hand proves nothing, and is named.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from db.archive_frames import ArchiveFrames
from db.catalogue import Catalogue
from db.errors import UnknownName
from db.records import FileState
from db.remote_file import RemoteFile
from db.storage import file_state
from indexer.audio import mix_to_mono
from indexer.errors import AudioError
from indexer.landmarks import UNCHANGED, LandmarkFingerprinter
from indexer.stretches import read_stretch
from search.correlation import MARGIN_S, Agreement, Waveform
from search.evidence import Evidence
from search.fingerprint_candidates import Candidate, ranked
from search.originals import original
from search.significance import Law, p_agreement, p_together

_MOST_PLACES = 6  # that are read again
OnUnread = Callable[[int, str], None]
"""Told the number of a recording that could not be read, and why."""

_SHORTEST_S = 2.0  # of a query; how well chance goes with less is not known
_PROVEN = 1e-5  # the probability from which on sound alone proves a place
_UNDOUBTED = 1e-7  # the probability below which sound is not asked as well
_CHOICES = 2  # what sound may say is one more chance for a false match
_NEARLY = 0.85  # of the surest score; which of the places that reach it is the one, is to be heard
_APART = 4  # frames between places that are not the same
_CLEARLY = 1.1  # times the correlation of the likeliest is what makes another the likeliest
_FIRST = 1e-6  # of a score, so that the chosen place is surer than those that are as sure
_LEAST_DEVIATIONS = 6.0  # standard deviations of a correlation by chance; less tells nothing


class RecordedSound:
    """Passages of an archive's recordings, read from their files. Any number of threads may use it.

    Files in object storage are left alone: a question is not to fetch hours of sound from there.
    """

    def __init__(
        self, catalogue: Catalogue, archive: ArchiveFrames, fingerprinter: LandmarkFingerprinter
    ) -> None:
        self._catalogue = catalogue
        self._archive = archive
        self._fingerprinter = fingerprinter

    def passage(
        self, frame: float, n_samples: int, *, within_frame: int, on_unread: OnUnread
    ) -> NDArray[np.float32] | None:
        """Return the sound of a recording from an archive frame on.

        Parameters
        ----------
        frame : float
            May lie before the recording's beginning.
        within_frame : int
            An archive frame of the recording that is meant.
        on_unread
            Told which recording could not be read, and why.

        Returns
        -------
        ndarray, shape (n_samples,), float32, optional
            Mono, at the fingerprinter's rate; zeros before the recording's beginning and after its
            end. None if it cannot be read, is left alone, or has been removed since.
        """
        sr, frame_s = self._fingerprinter.sample_rate, self._fingerprinter.frame_s
        ids, within = self._archive.locate(np.array([within_frame], dtype=np.int64))
        recording_id = int(ids[0])
        if recording_id < 0:
            return None
        begin = round((frame - within_frame + int(within[0])) * frame_s * sr)
        try:
            file = original(self._catalogue, recording_id)
            if isinstance(file.path, RemoteFile):
                return None
            return self._read(file.path, file.state, begin, begin + n_samples)
        except UnknownName:
            return None
        except AudioError as error:
            on_unread(recording_id, str(error))
            return None

    def _read(
        self, path: Path, state: FileState | None, begin: int, end: int
    ) -> NDArray[np.float32]:
        """Read samples at the fingerprinter's rate; those that do not exist are zero."""
        sr = self._fingerprinter.sample_rate
        first = max(begin, 0)
        try:
            if file_state(path) != state:
                raise AudioError("the file has changed since it was indexed")
            stretch = read_stretch(path, first / sr, end / sr)
        except OSError as error:
            raise AudioError(f"{path}: {error.strerror}") from error
        except AudioError as error:
            raise AudioError(f"{path}: {error}") from error
        mono = np.ascontiguousarray(mix_to_mono(stretch.samples))
        narrow = soxr.resample(mono, stretch.info.sample_rate, sr, quality="LQ")
        sound = np.zeros(end - begin, dtype=np.float32)
        n_read = min(len(narrow), end - first)
        sound[first - begin : first - begin + n_read] = narrow[:n_read]
        return sound


class Rehearing:
    """Reads again what lies at the places that were found for one query.

    Parameters
    ----------
    sound : RecordedSound
    law : Law
        By which scores are made of probabilities.
    fingerprinter : LandmarkFingerprinter
    on_unread
    """

    def __init__(
        self,
        sound: RecordedSound,
        law: Law,
        fingerprinter: LandmarkFingerprinter,
        *,
        on_unread: OnUnread,
    ) -> None:
        self._sound = sound
        self._law = law
        self._sr, self._frame_s = fingerprinter.sample_rate, fingerprinter.frame_s
        self._on_unread = on_unread

    def heard(self, samples: NDArray[np.float32], found: Sequence[Candidate]) -> list[Candidate]:
        """Return those of a query's candidates of which sound makes surer.

        Sound and landmarks speak together, unless a beat explains what landmarks say, or nobody
        asked whether it does: one drum machine sounds like itself as well. Then sound has to prove
        a place alone.

        Returns
        -------
        list of Candidate
            Best first. Of those that are nearly as sure as the surest, that which correlates best
            is the surest. None of a query below 2 s.
        """
        duration_s = len(samples) / self._sr
        if duration_s < _SHORTEST_S:
            return []
        heard: dict[int, tuple[Agreement, Candidate]] = {}
        for number, agreement in self._agreements(samples, found, _by_evidence):
            one = found[number]
            p_false = self._p_false(one, p_agreement(agreement.distinctness, duration_s))
            if p_false < self._law.p_false(one.score):
                score = self._law.threshold(p_false)
                heard[number] = agreement, self._heard(one, agreement, score)
        if not heard:
            return []
        surest = max(heard, key=lambda number: heard[number][1].score)
        score = heard[surest][1].score
        near = {
            number: agreement
            for number, (agreement, one) in heard.items()
            if one.score >= _NEARLY * score
        }
        chosen = heard[_best(near, surest, len(samples), clearly=1.0)][1]
        first = replace(chosen, evidence=replace(chosen.evidence, score=score + _FIRST))
        return [first, *ranked(one for _, one in heard.values() if one is not chosen)]

    def surer(self, samples: NDArray[np.float32], one: Candidate) -> float:
        """Return the score of a candidate that landmarks are sure of, with what sound adds.

        Nothing is read if they leave no doubt, or if it runs or sounds otherwise than the query. A
        file that is not at hand adds nothing, and is not told of: the answer is sure without it.
        """
        by_landmarks, duration_s = self._law.p_false(one.score), len(samples) / self._sr
        if one.change != UNCHANGED or by_landmarks < _UNDOUBTED or duration_s < _SHORTEST_S:
            return one.score
        agreement = self._agreement(Waveform(samples, self._sr), one.evidence, pass_over)
        if agreement is None:
            return one.score
        p_false = self._p_false(one, p_agreement(agreement.distinctness, duration_s))
        return self._law.threshold(p_false) if p_false < by_landmarks else one.score

    def likeliest(self, samples: NDArray[np.float32], found: Sequence[Candidate]) -> Candidate:
        """Return that of several repetitions which correlates clearly best, or else the first."""
        heard = dict(self._agreements(samples, found, _by_likeness))
        if 0 not in heard:
            return found[0]  # nothing to compare the others with
        return found[_best(heard, 0, len(samples), clearly=_CLEARLY)]

    def _agreements(
        self,
        samples: NDArray[np.float32],
        found: Sequence[Candidate],
        worth: Callable[[Candidate], float],
    ) -> Iterator[tuple[int, Agreement]]:
        """Yield how well the query goes with the best places that lie apart, as far as read."""
        waveform = Waveform(samples, self._sr)
        for number in _apart(found, worth):
            agreement = self._agreement(waveform, found[number].evidence, self._on_unread)
            if agreement is not None:
                yield number, agreement

    def _agreement(
        self, waveform: Waveform, evidence: Evidence, on_unread: OnUnread
    ) -> Agreement | None:
        """Return how well the query goes with a place; None where that cannot be read."""
        if not len(evidence.rows):
            return None
        # There are landmarks only where there is a recording.
        within_frame = round(evidence.frame + float(np.median(evidence.rows)))
        passage = self._sound.passage(
            evidence.frame - MARGIN_S / self._frame_s,
            waveform.passage_samples,
            within_frame=within_frame,
            on_unread=on_unread,
        )
        return None if passage is None else waveform.agreement(passage)

    def _p_false(self, one: Candidate, by_sound: float) -> float:
        """Return how likely chance is, by sound and landmarks."""
        together = p_together(self._law.p_false(one.score), by_sound) if one.left == 1 else 1.0
        p_false = min(by_sound, together) if by_sound <= _PROVEN else together
        return min(1.0, _CHOICES * p_false)

    def _heard(self, one: Candidate, agreement: Agreement, score: float) -> Candidate:
        frame = one.evidence.frame + agreement.late_s / self._frame_s
        first_s, last_s = agreement.extent_s
        return replace(
            one,
            evidence=replace(one.evidence, frame=frame, score=score),
            price=0.0,
            left=1.0,
            heard=(first_s / self._frame_s, last_s / self._frame_s),
        )


def _best(heard: Mapping[int, Agreement], first: int, n_samples: int, *, clearly: float) -> int:
    """Return which of several places correlates best, so many times as much as the first, or that.

    What goes with some other moment better than with the one that is meant is not there.
    """
    least = min(1.0, heard[first].distinctness)
    there = [number for number, one in heard.items() if one.distinctness >= least]
    best = max(there, key=lambda number: heard[number].correlation)
    by_chance = _LEAST_DEVIATIONS / n_samples**0.5
    enough = max(clearly * heard[first].correlation, by_chance)
    return best if heard[best].correlation > enough else first


def pass_over(recording_id: int, reason: str) -> None:
    """Nobody wants to know what could not be read."""


def unread_note(unread: Mapping[int, str]) -> str:
    """Say which recordings could not be read, what that means, and what to do."""
    reason = next(iter(unread.values()))
    n = len(unread)
    which = "1 recording that may match" if n == 1 else f"{n} recordings that may match"
    one = reason if n == 1 else f"one of them: {reason}"
    return (
        f"{which} could not be read, so that fingerprints decided alone ({one}): what loud "
        "noise hides may be missing, and of passages much alike the wrong one may be named. Bring "
        "the files back, `echoic relocate` a folder that has moved, or `echoic index` what has "
        "changed"
    )


def _by_evidence(one: Candidate) -> float:
    return one.evidence.score - one.price


def _by_likeness(one: Candidate) -> float:
    return one.evidence.likeness


def _apart(found: Sequence[Candidate], worth: Callable[[Candidate], float]) -> list[int]:
    """Return the best of some candidates that lie apart."""
    chosen: list[int] = []
    for number in sorted(range(len(found)), key=lambda at: -worth(found[at])):
        frame = found[number].evidence.frame
        if all(abs(found[other].evidence.frame - frame) > _APART for other in chosen):
            chosen.append(number)
        if len(chosen) == _MOST_PLACES:
            break
    return chosen
