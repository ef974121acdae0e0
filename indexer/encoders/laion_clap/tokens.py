"""Phrases as the text tower reads them: RoBERTa's byte pairs, at most 77 of them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from indexer.errors import EncoderError

MAX_TOKENS = 77
"""As in training; the marks of beginning and end are two of them."""

_VOCABULARY = 50_265
_SPECIAL = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 50_264}
_END = _SPECIAL["</s>"]


class Tokens:
    """The tokenizer of a package, checked.

    Parameters
    ----------
    path : Path
        ``tokenizer.json``.

    Raises
    ------
    EncoderError
        If it cannot be read, or is not RoBERTa's.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing more special
            raise EncoderError(f"the tokenizer {path} cannot be read: {error}") from error
        found = {name: self._tokenizer.token_to_id(name) for name in _SPECIAL}
        size = self._tokenizer.get_vocab_size()
        if size != _VOCABULARY or found != _SPECIAL:
            raise EncoderError(
                f"{path} is not the tokenizer of LAION-CLAP: it has {size:,} entries where there "
                f"should be {_VOCABULARY:,}; install the model again"
            )
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()

    def of(self, text: str) -> NDArray[np.int64]:
        """Return the tokens of a phrase, never padded.

        Returns
        -------
        ndarray, shape (n_tokens,), int64
            At most 77, the first and the last of which mark beginning and end.
        """
        ids = self._tokenizer.encode(text).ids
        if len(ids) > MAX_TOKENS:
            ids = [*ids[: MAX_TOKENS - 1], _END]
        return np.array(ids, dtype=np.int64)

    def beyond(self, text: str) -> str:
        """Return the end of a phrase that has no room; empty if all of it has."""
        offsets = self._tokenizer.encode(text).offsets
        if len(offsets) <= MAX_TOKENS:
            return ""
        first_left_out: int = offsets[MAX_TOKENS - 1][0]
        return text[first_left_out:].strip()
