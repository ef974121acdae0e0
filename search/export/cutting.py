"""Cut passages out of a recording, in bounded memory."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from db.errors import StorageError
from db.storage import AnyFile, assure_read, file_at
from indexer.audio import AudioInfo, AudioReader, open_audio
from indexer.decoders import open_sndfile
from indexer.errors import AudioError
from search.errors import ExportError
from search.export.clips import Clip

_RIFF_BYTES = 4_000_000_000  # sizes in a WAV file have 32 bits
_SAMPLE_BYTES = 4
_SYSTEM_ERROR = 2  # libsndfile's number for what the disk is to blame for
_SHORT_S = 0.1
_BLOCK_S = 10.0
_BLOCK_SAMPLES = 4_000_000  # over all channels
_EXACT_CODECS = ("PCM_", "FLAC")  # libsndfile 1.2 seeks wrongly in the last page of Ogg files
_HEAD_BYTES = 256
_PEAK_TIME_AT = 12  # behind the chunk's name, size and version


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What became of a passage.

    Attributes
    ----------
    path : Path or None
        The file that holds it; None if there is none.
    onset_s, offset_s : float
        What it holds, within the recording.
    sample_rate, channels : int
        Those of the recording; 0 if that could not be opened.
    note, error : str
        What is not right with it, or why there is none; else empty.
    """

    clip: Clip
    path: Path | None
    onset_s: float
    offset_s: float
    sample_rate: int = 0
    channels: int = 0
    note: str = ""
    error: str = ""


def cut(passages: Sequence[Clip], folder: Path, container: str) -> list[Excerpt]:
    """Write passages of one recording into files of a folder.

    Parameters
    ----------
    passages : sequence of Clip
        Of one recording; they may overlap.
    container : str
        ``"WAV"`` or ``"FLAC"``.

    Returns
    -------
    list of Excerpt
        One for each passage, in their order.

    Raises
    ------
    ExportError
        If the folder is full.
    """
    cutters: list[_Cutter] = []
    reason = ""
    try:
        if passages[0].file is None:
            raise AudioError("lies in no file")
        path = file_at(passages[0].file.root, passages[0].file.path)
        with open_audio(path) as reader:
            cutters = [_Cutter(clip, reader.info, folder, container) for clip in passages]
            _deliver(reader, path, cutters)
    except (AudioError, StorageError) as error:
        reason = str(error)
    if not cutters:
        return [Excerpt(clip, None, clip.onset_s, clip.offset_s, error=reason) for clip in passages]
    return [cutter.finish(reason) for cutter in cutters]


def _deliver(reader: AudioReader, path: AnyFile, cutters: "Sequence[_Cutter]") -> None:
    """Give each cutter what it waits for, by seeking where that is exact and the file is sound."""
    info = reader.info
    if info.decoder == "libsndfile" and info.codec.startswith(_EXACT_CODECS):
        with suppress(sf.LibsndfileError, OSError):
            _seek(path, info, cutters)
    if all(cutter.is_done for cutter in cutters):
        return
    position = 0
    for block in reader.blocks():
        for cutter in cutters:
            cutter.take(block, position)
        position += len(block)
        if all(cutter.is_done for cutter in cutters):
            break


def _seek(path: AnyFile, info: AudioInfo, cutters: "Sequence[_Cutter]") -> None:
    n_most = max(1, min(int(_BLOCK_S * info.sample_rate), _BLOCK_SAMPLES // info.channels))
    with open_sndfile(path) as file:
        for cutter in cutters:
            file.seek(min(cutter.first, file.frames))
            while not cutter.is_done:
                n_wanted = min(n_most, cutter.waits_for[1] - cutter.waits_for[0])
                block = file.read(n_wanted, dtype="float32", always_2d=True)
                assure_read(path)
                if not len(block):
                    break
                cutter.take(block, cutter.waits_for[0])


class _Cutter:
    """Writes one passage of a recording.

    Attributes
    ----------
    first : int
        The frame of the recording at which it begins.
    """

    def __init__(self, clip: Clip, info: AudioInfo, folder: Path, container: str) -> None:
        self.first, self._last = clip.span(info.sample_rate)
        self._clip = clip
        self._info = info
        self._path = folder / f"{clip.rank}-{clip.number}.{container.lower()}"
        self._container = container
        self._file: sf.SoundFile | None = None
        self._n_frames = self._n_clipped = 0
        self._error = ""

    @property
    def waits_for(self) -> tuple[int, int]:
        """The frames of the recording that are still to be written, the last excluded."""
        return self.first + self._n_frames, self._last

    @property
    def is_done(self) -> bool:
        """Whether nothing more is wanted."""
        return bool(self._error) or self.first + self._n_frames == self._last

    def take(self, block: NDArray[np.float32], position: int) -> None:
        """Write what is still to be written of a block (n_frames, channels) of the recording."""
        begin, end = (max(0, frame - position) for frame in self.waits_for)
        part = block[begin:end]
        if not len(part) or self._error:
            return
        try:
            self._file = self._file or self._open()
            self._file.write(part)
            self._n_frames += len(part)
            if self.is_done:
                self._file.close()  # at once: thousands of passages are not to stay open
        except sf.LibsndfileError as error:
            if self._file is None and error.code != _SYSTEM_ERROR:
                self._error = f"{self._container} cannot hold it: {error.error_string}"
                return
            raise ExportError(
                f"an excerpt cannot be written ({error.error_string}): "
                f"make room in {self._path.parent.parent}"
            ) from error
        if self._container == "FLAC":
            self._n_clipped += int(np.count_nonzero(np.abs(part) > 1))

    def finish(self, reason: str) -> Excerpt:
        """Close the file and say what it holds; `reason` is why reading ended early, if it did.

        A passage may end a little after its file does: times are rounded.
        """
        if self._file is not None:
            self._file.close()
            _forget_time(self._path)
        sr, missing = self._info.sample_rate, self._last - self.first - self._n_frames
        error, notes = self._error, []
        if missing and not error:
            error = reason
        if not self._n_frames and not error:
            error = f"the file ends before the passage begins, at {self.first / sr:.3f} s"
        if missing > _SHORT_S * sr:
            notes.append(f"the file ends before the passage does, at {self._last / sr:.3f} s")
        if self._n_clipped:
            notes.append(f"samples beyond full scale that were clipped: {self._n_clipped}")
        return Excerpt(
            self._clip,
            None if error else self._path,
            self.first / sr,
            (self._last if error else self.first + self._n_frames) / sr,
            sr,
            self._info.channels,
            "" if error else "; ".join(notes),
            error,
        )

    def _open(self) -> sf.SoundFile:
        depth = self._info.bit_depth or 8 * _SAMPLE_BYTES
        container, subtype = self._container, "PCM_24"
        if container == "FLAC" and depth <= 16:
            subtype = "PCM_16"
        elif container == "WAV" and depth > 24:
            subtype = "FLOAT"
        n_bytes = (self._last - self.first) * self._info.channels * _SAMPLE_BYTES
        if container == "WAV" and n_bytes > _RIFF_BYTES:
            container = "RF64"
        return sf.SoundFile(
            self._path,
            "w",
            samplerate=self._info.sample_rate,
            channels=self._info.channels,
            subtype=subtype,
            format=container,
        )


def _forget_time(path: Path) -> None:
    """Clear the time of writing, which libsndfile puts into float WAV files.

    The same hits shall give the same bytes.
    """
    with path.open("r+b") as file:
        at = file.read(_HEAD_BYTES).find(b"PEAK")
        if at >= 0:
            file.seek(at + _PEAK_TIME_AT)
            file.write(bytes(4))
