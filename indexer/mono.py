"""Files in, mono samples out, for a query: a whole file or a stretch of it."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from db.storage import AnyFile
from indexer.audio import MonoResampler, open_audio
from indexer.errors import AudioError


def read_mono(
    path: AnyFile,
    sr: int,
    *,
    from_s: float | None = None,
    to_s: float | None = None,
    max_s: float = float("inf"),
) -> NDArray[np.float32]:
    """Read a stretch of a file as mono samples, for a query.

    It is decoded from the beginning, so that its times are exact in every format.

    Parameters
    ----------
    path : Path or RemoteFile
    sr : int
        Rate in Hz of the samples wanted.
    from_s, to_s : float, optional
        The stretch; the file's beginning and end if not given. An end up to 0.1 s beyond the
        file's is taken as its end, since players round.
    max_s : float
        Longest stretch that is read.

    Returns
    -------
    ndarray, shape (n_samples,), float32

    Raises
    ------
    AudioError
        If the file cannot be read, or the stretch is empty, longer than `max_s`, or lies beyond
        the file's end.
    """
    parts, n_samples = [], 0
    for part in mono_blocks(path, sr, from_s=from_s, to_s=to_s):
        n_samples += len(part)
        if n_samples > max_s * sr + 1:
            raise AudioError(f"longer than {max_s:g} s: choose a part of it")
        parts.append(part)
    return np.concatenate(parts)


def mono_blocks(
    path: AnyFile,
    sr: int,
    *,
    from_s: float | None = None,
    to_s: float | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Read a stretch of a file as `read_mono` does, block by block, however long it is.

    Parameters
    ----------
    on_warning
        Told of each of `AudioReader.warnings`, unless the stretch ends before the file does.

    Yields
    ------
    ndarray, shape (n,), float32
        The samples that follow, at `sr`; at least one block.
    """
    start_s = 0.0 if from_s is None else from_s
    if not (0 <= start_s < float("inf")) or (to_s is not None and not start_s < to_s):
        wanted = f"from {start_s:g} s to " + ("the end" if to_s is None else f"{to_s:g} s")
        raise AudioError(
            f"the stretch {wanted} is empty: it must begin at 0 s or later, and end after"
        )
    with open_audio(path) as reader:
        rate = reader.info.sample_rate
        resampler = MonoResampler(rate, sr)
        start = round(start_s * rate)
        stop = None if to_s is None or to_s == float("inf") else round(to_s * rate)
        if stop == start:
            raise AudioError(f"the stretch from {start_s:g} s to {to_s:g} s holds no sample")
        position = 0
        for block in reader.blocks():
            end = len(block) if stop is None else stop - position
            part = block[max(0, start - position) : max(0, end)]
            position += len(block)
            if len(part):
                yield resampler.process(part)
            if stop is not None and position >= stop:
                break
        else:
            for warning in reader.warnings:
                if on_warning is not None:
                    on_warning(warning)
    end_s = position / rate
    why = reader.broken_off and f" ({reader.broken_off})"
    if position <= start:
        raise AudioError(
            f"the stretch begins at {start_s:g} s, the file ends at {end_s:.2f} s{why}"
        )
    if to_s is not None and to_s > end_s + 0.1:
        raise AudioError(
            f"the stretch ends at {to_s:g} s, the file at {end_s:.2f} s{why}: to go to its end, "
            "leave out where the stretch ends"
        )
    yield resampler.flush()
