"""What scores mean, told by the archive's own sounds: for encoders with which nothing comes.

A sample of the archive's segments is compared with the names of the 527 classes of AudioSet, the
anchors. A class that is among the best for a segment says what the segment is; to any phrase that
means something else, the segment is something else. So for every phrase the sample has sounds that
are not it, even in an archive of nothing but dogs, and what nineteen in twenty of them stay below
is the phrase's level. The distance from there to a hit is the same for all phrases: halfway between
what chance reaches (one in a thousand pairs of a segment and a class that it is not) and what the
best class of a segment reaches (the median).

Deviations of a phrase's own scores are not used as a unit: what an archive holds much of would have
the largest, and be found the least.

Examples are judged by the median of their scores with the sample; their unit is how far below the
median of all such scores the sixth part of them lies, since above it are the sounds that are alike.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from db.calibrations import (
    StoredCalibration,
    count_with_vectors,
    sample_vectors,
    store_calibration,
    stored_calibration,
)
from db.catalogue import Catalogue
from db.errors import CalibrationDamaged
from indexer.encoders import Encoder, Law, Laws
from search.calibration import LEAST_DEVIATION, BackgroundCalibration, Calibration, Scale
from search.vocabulary import audioset

KIND: Final = "echoic-archive/1"
"""How a calibration is drawn and used."""

LAWS: Final = Laws(words=Law(offset=1.0, slope=12.0), example=Law(offset=4.1, slope=2.5))
"""Fitted with echoic-mini on folds 1-4 of ESC-10, so that false alarms are as rare as with the
calibration that comes with it: see ``docs/laion-clap.md``."""

ENOUGH_RECORDINGS: Final = 100
"""With fewer, scores are rough."""
GROWTH: Final = 4
"""When the archive holds so many times what it held, it is calibrated anew."""

_MOST_RECORDINGS: Final = 1024
_EACH: Final = 2  # segments of a recording
_BEST: Final = 10  # a segment is what its so many best anchors say
_NEAR: Final = 10  # so many anchors mean what a phrase means, or nearly
_LEVEL: Final = 0.95
_CHANCE: Final = 0.999
_CHANCES: Final = 10.0 / 3.0  # so many times what chance reaches is as far as a best class reaches
_LEAST_OTHERS: Final = 20
_LOW: Final = 0.16  # a deviation below the median, if scores were normal
_MOST_PAIRED: Final = 1024

Vectors = NDArray[np.float32]
Progress = Callable[[str], None]


class ArchiveCalibration:
    """Tells what cosines are worth from sounds of the archive.

    Parameters
    ----------
    sample : ndarray, shape (n_segments, dim), float32
        Segments of the archive, unit length; at least one.
    anchors : ndarray, shape (n_anchors, dim), float32
        Phrases of very many kinds of sound, unit length.
    n_recordings : int
        How many recordings the archive held when it was drawn.
    fault : str, optional
        What is to be known of how it was come by.
    """

    laws = LAWS

    def __init__(
        self, sample: Vectors, anchors: Vectors, n_recordings: int, *, fault: str = ""
    ) -> None:
        self._sample = sample
        self._anchors = anchors
        self._n_recordings = n_recordings
        self._fault = fault

    @property
    def background(self) -> Vectors:
        """No sounds from elsewhere: shape (0, dim), float32."""
        return self._sample[:0]

    @property
    def identity(self) -> str:
        """A checksum of the sample; another is drawn when the archive has grown a lot."""
        return f"{KIND} {zlib.crc32(self._sample.tobytes()):08x}"

    @property
    def notes(self) -> tuple[str, ...]:
        """That scores are rough or another calibration was lost, if so."""
        faults = (self._fault,) if self._fault else ()
        if self._n_recordings >= ENOUGH_RECORDINGS:
            return faults
        return (
            *faults,
            "scores are rough: what they are worth was learnt from the archive's own recordings, "
            f"of which there were {self._n_recordings:,}, and a hundred are needed",
        )

    def scale(self, query: Vectors, *, by_words: bool) -> Scale:
        """Return what the cosines of a query mean.

        Parameters
        ----------
        query : ndarray, shape (dim,), float32
            Unit length.
        by_words : bool
            Whether it is a phrase.
        """
        if by_words:
            return Scale(self._level_of(query), self._reach, 0.0)
        return Scale(float(np.median(self._sample @ query)), self._spread, 0.0)

    @cached_property
    def _is_said(self) -> NDArray[np.bool_]:
        """Which anchors say what a segment is, shape (n_segments, n_anchors)."""
        said = np.zeros(self._cosines.shape, dtype=bool)
        best = np.argsort(-self._cosines, axis=1, kind="stable")[:, :_BEST]
        np.put_along_axis(said, best, True, axis=1)
        return said

    @cached_property
    def _cosines(self) -> Vectors:
        return self._sample @ self._anchors.T

    def _others(self, phrase: Vectors) -> NDArray[np.bool_]:
        """Tell which segments are something else than a phrase says, shape (n_segments,)."""
        near = np.argsort(-(self._anchors @ phrase), kind="stable")[:_NEAR]
        return np.asarray(~self._is_said[:, near].any(axis=1))

    def _level_of(self, phrase: Vectors) -> float:
        others = self._sample[self._others(phrase)] @ phrase
        if len(others) < _LEAST_OTHERS:  # the archive holds hardly anything else
            return self._usual.level
        return float(np.quantile(others, _LEVEL))

    @cached_property
    def _usual(self) -> "_Usual":
        """What the anchors reach with the sample, as phrases of which the truth is known."""
        cosines = self._cosines
        others = np.stack([self._others(anchor) for anchor in self._anchors], axis=1)
        enough = others.sum(axis=0) >= _LEAST_OTHERS
        if not enough.any():
            return _Usual.of_few(cosines)
        cosines, others = cosines[:, enough], others[:, enough]
        levels = np.array(
            [np.quantile(cosines[rows, at], _LEVEL) for at, rows in enumerate(others.T)]
        )
        above = cosines - levels
        chance = float(np.quantile(above[others], _CHANCE))
        return _Usual(float(np.median(levels)), chance, float(np.median(above.max(axis=1))))

    @cached_property
    def _reach(self) -> float:
        """How far above its level a phrase is as likely there as not."""
        return max((_CHANCES * self._usual.chance + self._usual.best) / 2.0, LEAST_DEVIATION)

    @cached_property
    def _spread(self) -> float:
        """The unit of examples."""
        some = self._sample[:_MOST_PAIRED]
        if len(some) < _LEAST_OTHERS:
            some = np.concatenate([some, self._anchors])
        cosines = some @ some.T
        np.fill_diagonal(cosines, np.nan)
        centred = cosines - np.nanmedian(cosines, axis=1, keepdims=True)
        return max(-float(np.nanquantile(centred, _LOW)), LEAST_DEVIATION)


@dataclass(frozen=True, slots=True)
class _Usual:
    """What anchors reach.

    Attributes
    ----------
    level : float
        The median of their levels.
    chance : float
        How far above its level an anchor comes with one in a thousand sounds that it is not.
    best : float
        How far above its level the best anchor of a segment is, in the median.
    """

    level: float
    chance: float
    best: float

    @classmethod
    def of_few(cls, cosines: Vectors) -> "_Usual":
        """Return what can be said of a handful of segments: all anchors count as one."""
        level = float(np.quantile(cosines, _LEVEL))
        chance = float(np.quantile(cosines, _CHANCE)) - level
        return cls(level, chance, float(np.median(cosines.max(axis=1))) - level)


def calibration_of(catalogue: Catalogue, encoder: Encoder) -> Calibration:
    """Return what tells what the scores of an encoder are worth in a catalogue.

    That which comes with the encoder; else that which the catalogue keeps; else one of the archive
    as it is now, which takes some seconds and is kept by the next `echoic index`.

    Parameters
    ----------
    encoder : Encoder
        One that has made vectors of the catalogue.
    """
    if encoder.calibration is not None:
        return BackgroundCalibration(encoder.calibration)
    return archive_calibration(catalogue, encoder)


def archive_calibration(catalogue: Catalogue, encoder: Encoder) -> ArchiveCalibration:
    """Return what the archive's own sounds tell of the scores of an encoder, as the above."""
    stored, fault = None, ""
    try:
        stored = stored_calibration(catalogue, encoder.id)
    except CalibrationDamaged as error:
        fault = f"{error}: scores are by one drawn now, until `echoic index` keeps a new one"
    if stored is None or stored.kind != KIND:
        stored = _drawn(catalogue, encoder)
    return ArchiveCalibration(stored.sample, stored.anchors, stored.n_recordings, fault=fault)


def calibrate(
    catalogue: Catalogue, encoder: Encoder, *, on_start: Progress = lambda news: None
) -> bool:
    """Draw a calibration of the archive and keep it, if it needs one; return whether it did.

    It needs one if nothing comes with the encoder, and the catalogue keeps none or the archive has
    grown well beyond what it was drawn from.

    Parameters
    ----------
    on_start : callable
        Told before the work begins what it is, and why if the one that was kept is damaged.
    """
    if encoder.calibration is not None:
        return False
    n_recordings = count_with_vectors(catalogue, encoder.id)
    stored, fault = None, ""
    try:
        stored = stored_calibration(catalogue, encoder.id)
    except CalibrationDamaged as error:
        fault = f", for {error}"
    if not n_recordings or (
        stored is not None and stored.kind == KIND and not _outgrown(stored, n_recordings)
    ):
        return False
    on_start(f"Learning what scores by {encoder.id} mean in this archive{fault}")
    known = None if stored is None or stored.kind != KIND else stored.anchors
    store_calibration(catalogue, encoder.id, _drawn(catalogue, encoder, anchors=known))
    return True


def reads_phrases(catalogue: Catalogue, encoder: Encoder) -> bool:
    """Tell whether `calibrate` would have to embed phrases: it has none that were kept."""
    if encoder.calibration is not None:
        return False
    try:
        stored = stored_calibration(catalogue, encoder.id)
    except CalibrationDamaged:
        return True
    return stored is None or stored.kind != KIND


def _outgrown(stored: StoredCalibration, n_recordings: int) -> bool:
    then = stored.n_recordings
    return n_recordings >= GROWTH * then or then < ENOUGH_RECORDINGS <= n_recordings


def _drawn(
    catalogue: Catalogue, encoder: Encoder, *, anchors: Vectors | None = None
) -> StoredCalibration:
    n_recordings, sample = sample_vectors(
        catalogue, encoder.id, most_recordings=_MOST_RECORDINGS, each=_EACH
    )
    if not len(sample):
        sample = np.eye(1, encoder.dim, dtype=np.float32)  # nothing will be found in any case
    if anchors is None:
        anchors = encoder.embed_text(list(audioset().phrases))
    return StoredCalibration(KIND, n_recordings, sample, anchors)
