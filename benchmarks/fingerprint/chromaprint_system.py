"""AcoustID's Chromaprint, by its library, and the share of wrong bits at every place.

The library (Debian: libchromaprint1) gives a code of 32 bits each 0.12 s, the first after 2.6 s.
AcoustID looks codes up in an index and compares what lies at the same distance bit by bit. Here
every place of the archive is compared, so that no index can have missed the right one.

References
----------
L. Lalinský, "How does Chromaprint work?", 2011. D. Jang et al., "Pairwise boosted audio
fingerprint", IEEE Trans. Information Forensics and Security 4, 2009.
"""

import ctypes
import ctypes.util
from pathlib import Path

import numpy as np

from benchmarks.fingerprint.bit_errors import CodeArchive, Codes
from benchmarks.fingerprint.materials import SR, Samples
from benchmarks.fingerprint.systems import Answer

_ALGORITHM = 1  # CHROMAPRINT_ALGORITHM_DEFAULT
_CODE_S = 4096 // 3 / 11025
_ACCEPTED = 0.5
_FULL_SCALE = 32767


class ChromaprintSystem:
    """See `benchmarks.fingerprint.systems.System`."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "chromaprint.npz"
        self._library = load_library()
        self._names: list[str] = []
        self._parts: list[Codes] = []
        if self._file.exists():
            self._archive = CodeArchive.load(self._file)
            self._everywhere = np.arange(len(self._archive.codes))

    def add(self, name: str, samples: Samples) -> None:
        self._names.append(name)
        self._parts.append(self._codes(samples))

    def finish(self) -> None:
        CodeArchive.joined(self._names, self._parts).save(self._file)

    def features(self, samples: Samples) -> None:
        self._codes(samples)

    def stored_bytes(self) -> int:
        return self._file.stat().st_size

    def identify(self, samples: Samples) -> list[Answer]:
        found = self._archive.best(self._codes(samples), self._everywhere)
        if found is None:
            return []
        # Nobody calibrated this one: half of what it can reach is taken for enough.
        p_false = 0.0 if found.score > _ACCEPTED else 1.0
        return [Answer(found.name, found.index * _CODE_S, found.score, p_false)]

    def _codes(self, samples: Samples) -> Codes:
        library = self._library
        wide = np.round(np.clip(samples, -1, 1) * _FULL_SCALE).astype(np.int16)
        context = ctypes.c_void_p(library.chromaprint_new(_ALGORITHM))
        codes, size = ctypes.POINTER(ctypes.c_uint32)(), ctypes.c_int()
        try:
            library.chromaprint_start(context, SR, 1)
            library.chromaprint_feed(context, wide.ctypes.data_as(ctypes.c_void_p), len(wide))
            library.chromaprint_finish(context)
            library.chromaprint_get_raw_fingerprint(
                context, ctypes.byref(codes), ctypes.byref(size)
            )
            if not size.value:
                return np.empty(0, dtype=np.uint32)
            return np.ctypeslib.as_array(codes, (size.value,)).copy()
        finally:
            library.chromaprint_dealloc(codes)
            library.chromaprint_free(context)


def load_library() -> ctypes.CDLL:
    """Load the library, or end with a sentence."""
    try:
        library = ctypes.CDLL(ctypes.util.find_library("chromaprint") or "libchromaprint.so.1")
    except OSError as error:
        raise SystemExit(
            "--system chromaprint needs its library: on Debian `apt install libchromaprint1`"
        ) from error
    library.chromaprint_new.restype = ctypes.c_void_p
    return library
