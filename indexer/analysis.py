"""One file in, everything that is known of it out. This is what a worker does.

A file is decoded once, block by block; each block passes through all stages that want it. A new
kind of feature is one more stage.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from db.content import content_hash
from db.errors import StorageError
from db.features import unit_length
from db.landmarks import Landmarks
from db.records import (
    Analysis,
    Description,
    EncoderInfo,
    Failure,
    FileState,
    SchemeInfo,
    Technical,
)
from db.storage import AnyFile, file_at, file_state
from indexer.audio import AudioInfo, MonoResampler, open_audio
from indexer.descriptors import DescriptorAnalyser
from indexer.encoders import Encoder, load_encoder
from indexer.errors import AudioError
from indexer.fingerprint import Fingerprinter, load_fingerprinter
from indexer.metadata import merge, read_metadata
from indexer.segments import Segmenter
from indexer.workers import goes_on

DESCRIPTOR_SCHEME = "echoic-descriptors/1"
"""Names how descriptors are computed; changes whenever the same sound would measure otherwise."""

READ_STAGE = "read"
"""The stage of failures that may be gone the next time, so that they are always tried again."""


@dataclass(frozen=True, slots=True)
class Features:
    """What can be computed of a recording.

    Attributes
    ----------
    encoders : tuple of str
        The encoders to embed with.
    fingerprinters : tuple of str
        The fingerprinters to find landmarks with.
    describe : bool
        Whether to compute descriptors.
    """

    encoders: tuple[str, ...] = ()
    fingerprinters: tuple[str, ...] = ()
    describe: bool = False

    def __bool__(self) -> bool:
        return bool(self.encoders or self.fingerprinters or self.describe)


@dataclass(frozen=True, slots=True)
class Job:
    """One file to look into.

    What has to be computed shows only when the file has been read: it may hold another content
    than it did, or one that was known under another name.

    Attributes
    ----------
    root : str
        The collection's folder, or its address.
    path : str
        Relative to it, with ``/``.
    sidecar : Description
        What manifests and sidecars say; it goes before what the file says.
    wanted : Features
        What a content needs that the catalogue does not know.
    lacking : mapping of content hash to Features
        What contents of the catalogue still need; for one that needs nothing, only its place is
        reported.
    """

    collection_id: int
    root: str
    path: str
    state: FileState
    sidecar: Description = Description()  # noqa: RUF009  (frozen)
    sidecar_digest: str | None = None
    wanted: Features = Features()
    lacking: Mapping[str, Features] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker sends back.

    Attributes
    ----------
    seconds : mapping of str to float
        CPU time of this process by stage.
    audio_s : float
        Length of the audio that was decoded for the result, in seconds.
    is_of_storage : bool
        Whether the storage failed, and so perhaps no fault of the file.
    """

    result: Analysis | Failure
    seconds: Mapping[str, float]
    audio_s: float = 0.0
    is_of_storage: bool = False


class Stage(Protocol):
    """Takes the blocks of one recording and makes one kind of feature of them."""

    name: str

    def push(self, block: NDArray[np.float32]) -> None:
        """Take a block, shape (n_frames, channels), float32, at the file's own rate."""
        ...

    def finish(self) -> None:
        """Take note that the recording has ended; the result is ready after this."""
        ...


class EmbeddingStage:
    """Mono, resample, cut into segments, embed: the vectors of one recording."""

    def __init__(self, encoder: Encoder, info: AudioInfo) -> None:
        self.name = f"embed {encoder.id}"
        self.encoder = encoder
        self._resampler = MonoResampler(info.sample_rate, encoder.sample_rate)
        window = round(encoder.window_s * encoder.sample_rate)
        hop = round(encoder.hop_s * encoder.sample_rate)
        self._segmenter = Segmenter(window, hop)
        self._vectors: list[NDArray[np.float16]] = []

    def push(self, block: NDArray[np.float32]) -> None:
        """Embed the segments that this block completes."""
        self._embed(self._segmenter.push(self._resampler.process(block)))

    def finish(self) -> None:
        """Embed what is left."""
        self._embed(self._segmenter.push(self._resampler.flush()))
        self._embed(self._segmenter.finish())
        if not unit_length(self.vectors):
            raise AudioError(f"{self.encoder.id} gave no usable vectors for it")

    @property
    def vectors(self) -> NDArray[np.float16]:
        """All vectors so far, shape (n_segments, dim), float16."""
        if not self._vectors:
            return np.empty((0, self.encoder.dim), dtype=np.float16)
        return np.concatenate(self._vectors)

    def _embed(self, windows: Sequence[NDArray[np.float32]]) -> None:
        if windows:
            padded = np.stack([self.encoder.pad(window) for window in windows])
            self._vectors.append(self.encoder.embed_audio(padded).astype(np.float16))


_NO_LANDMARKS = Landmarks(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.uint16), 0)


class FingerprintStage:
    """Mono, resample, find landmarks: the fingerprint of one recording."""

    name = "fingerprint"

    def __init__(self, fingerprinter: Fingerprinter, info: AudioInfo) -> None:
        self.scheme = fingerprint_scheme(fingerprinter)
        self.landmarks = _NO_LANDMARKS
        self._resampler = MonoResampler(info.sample_rate, fingerprinter.sample_rate)
        self._stream = fingerprinter.stream()

    def push(self, block: NDArray[np.float32]) -> None:
        """Look through a block."""
        self._stream.push(self._resampler.process(block))

    def finish(self) -> None:
        """Look through what is left."""
        self._stream.push(self._resampler.flush())
        self.landmarks = self._stream.finish()


class DescriptorStage:
    """Level, spectrum, rhythm and key of one recording."""

    name = "describe"

    def __init__(self, info: AudioInfo) -> None:
        self._analyser = DescriptorAnalyser(info.sample_rate, info.channels)
        self.values: dict[str, object] = {}

    def push(self, block: NDArray[np.float32]) -> None:
        """Measure a block."""
        self._analyser.push(block)

    def finish(self) -> None:
        """Sum up."""
        self.values = {"scheme": DESCRIPTOR_SCHEME, **asdict(self._analyser.finish())}


def encoder_geometry(encoder: Encoder) -> EncoderInfo:
    """Return what a catalogue has to know of an encoder."""
    return EncoderInfo(
        encoder.id, encoder.dim, encoder.sample_rate, encoder.window_s, encoder.hop_s
    )


def fingerprint_scheme(fingerprinter: Fingerprinter) -> SchemeInfo:
    """Return what a catalogue has to know of a fingerprinter."""
    return SchemeInfo(fingerprinter.id, fingerprinter.frame_s)


@dataclass(slots=True)
class _Clock:
    """Knows the stage a file is in and adds up CPU time by stage."""

    stage: str = READ_STAGE
    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.process_time)

    def enter(self, stage: str) -> None:
        now = time.process_time()
        self.seconds[self.stage] = self.seconds.get(self.stage, 0.0) + now - self._since
        self._since = now
        self.stage = stage


class Analyser:
    """Turns jobs into reports; keeps encoders and fingerprinters loaded between them."""

    def __init__(self) -> None:
        self._encoders: dict[str, Encoder] = {}
        self._fingerprinters: dict[str, Fingerprinter] = {}

    def load(self, features: Features) -> None:
        """Load at once what would be loaded with the first file.

        Raises
        ------
        EncoderError
            If an encoder is unknown here, or its files are missing or damaged.
        """
        for name in features.encoders:
            self._encoder(name)
        for name in features.fingerprinters:
            self._fingerprinter(name)

    def __call__(self, job: Job) -> Report:
        """Analyse a file. Whatever is wrong with it becomes a failure, never an exception."""
        clock = _Clock()
        result: Analysis | Failure
        audio_s, is_of_storage = 0.0, False
        try:
            result, audio_s = self._analyse(job, clock)
        except OSError as error:
            clock.enter(READ_STAGE)
            result = _failure(job, clock, error.strerror or str(error))
        except StorageError as error:
            clock.enter(READ_STAGE)
            result, is_of_storage = _failure(job, clock, str(error)), True
        except AudioError as error:
            result = _failure(job, clock, str(error))
        except Exception as error:  # noqa: BLE001  (one bad file never sinks a run)
            result = _failure(job, clock, f"unexpected {type(error).__name__}: {error}")
        clock.enter("done")
        return Report(result, clock.seconds, audio_s, is_of_storage)

    def _analyse(self, job: Job, clock: _Clock) -> tuple[Analysis, float]:
        path = file_at(job.root, job.path)
        identity = content_hash(path, on_block=goes_on)
        is_known = identity in job.lacking
        features = job.lacking[identity] if is_known else job.wanted
        clock.enter("metadata")
        embedded, warnings = read_metadata(path, job.path)
        decoded = _Decoded()
        if features or not is_known:
            decoded = self._decode(path, features, tuple(warnings), clock)
        clock.enter(READ_STAGE)
        if file_state(path) != job.state:
            raise AudioError("it was changed while it was being read; the next run takes it")
        analysis = Analysis(
            job.collection_id,
            job.path,
            job.state,
            identity,
            None if is_known else decoded.technical,
            merge(job.sidecar, embedded),
            asdict(embedded),
            job.sidecar_digest,
            decoded.vectors,
            decoded.descriptors,
            decoded.fingerprints,
        )
        return analysis, decoded.technical.duration_s if decoded.technical else 0.0

    def _decode(
        self, path: AnyFile, features: Features, warnings: tuple[str, ...], clock: _Clock
    ) -> "_Decoded":
        clock.enter("decode")
        n_frames = 0
        with open_audio(path) as reader:
            info = reader.info
            embedding = [EmbeddingStage(self._encoder(name), info) for name in features.encoders]
            fingerprinting = [
                FingerprintStage(self._fingerprinter(name), info)
                for name in features.fingerprinters
            ]
            describing = [DescriptorStage(info)] if features.describe else []
            stages: list[Stage] = [*embedding, *fingerprinting, *describing]
            for block in reader.blocks():
                goes_on()
                n_frames += len(block)
                for stage in stages:
                    clock.enter(stage.name)
                    stage.push(block)
                clock.enter("decode")
            for stage in stages:
                goes_on()
                clock.enter(stage.name)
                stage.finish()
            technical = Technical(
                n_frames / info.sample_rate,
                info.sample_rate,
                info.channels,
                info.format,
                info.codec,
                info.bit_depth,
                (*warnings, *reader.warnings),
            )
        return _Decoded(
            technical,
            {encoder_geometry(stage.encoder): stage.vectors for stage in embedding},
            describing[0].values if describing else None,
            {stage.scheme: stage.landmarks for stage in fingerprinting},
        )

    def _encoder(self, name: str) -> Encoder:
        if name not in self._encoders:
            self._encoders[name] = load_encoder(name)
        return self._encoders[name]

    def _fingerprinter(self, name: str) -> Fingerprinter:
        if name not in self._fingerprinters:
            self._fingerprinters[name] = load_fingerprinter(name)
        return self._fingerprinters[name]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What decoding gave; empty for a content that lacks nothing."""

    technical: Technical | None = None
    vectors: Mapping[EncoderInfo, NDArray[np.float16]] = field(default_factory=dict)
    descriptors: Mapping[str, object] | None = None
    fingerprints: Mapping[SchemeInfo, Landmarks] = field(default_factory=dict)


def _failure(job: Job, clock: _Clock, reason: str) -> Failure:
    return Failure(job.collection_id, job.path, clock.stage, reason, job.state)
