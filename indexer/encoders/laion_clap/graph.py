"""A tower in ONNX Runtime. What its graph takes and gives is found from the graph itself."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexer.encoders.runtime import open_session
from indexer.errors import EncoderError

Fill = Callable[[NDArray[Any]], NDArray[Any]]
"""Makes of what is embedded what an input is fed."""


class Graph:
    """One of the two networks of LAION-CLAP.

    Parameters
    ----------
    path : Path
        The ONNX file.
    inputs : mapping of str to callable
        The inputs that a graph may have, and what they are fed; the first of them it must have.
    output : str
        Which output is the vector, if there are several.
    dim : int
        Its length.

    Raises
    ------
    EncoderError
        If the file cannot be loaded, or the graph takes or gives something else.
    """

    def __init__(self, path: Path, inputs: Mapping[str, Fill], output: str, *, dim: int) -> None:
        self._path = path
        self._dim = dim
        self._session = open_session(path)
        takes = [one.name for one in self._session.get_inputs()]
        gives = [one.name for one in self._session.get_outputs()]
        needed = next(iter(inputs))
        if needed not in takes or not inputs.keys() >= set(takes):
            raise EncoderError(
                f"{path} is not a network that Echoic knows: it takes {', '.join(takes)}, "
                f"where Echoic feeds {', '.join(inputs)}"
            )
        if output not in gives and len(gives) > 1:
            raise EncoderError(
                f"{path} is not a network that Echoic knows: it gives {', '.join(gives)}, "
                f"not {output}"
            )
        self._fills = {name: inputs[name] for name in takes}
        self._output = output if output in gives else gives[0]

    def embed(self, value: NDArray[Any]) -> NDArray[np.float32]:
        """Run the graph on one window or one phrase.

        Parameters
        ----------
        value : ndarray, shape (1, ...)

        Returns
        -------
        ndarray, shape (dim,), float32
            Unit length.

        Raises
        ------
        EncoderError
            If the graph cannot be run, or gives no such vector.
        """
        feeds = {name: fill(value) for name, fill in self._fills.items()}
        try:
            (out,) = self._session.run([self._output], feeds)
        except Exception as error:  # ONNX Runtime's errors have no common class of their own
            raise EncoderError(
                f"the network {self._path} cannot be run: {error}. If its files are whole "
                "(`echoic models check`), memory may be short: index with fewer --workers"
            ) from error
        found = np.asarray(out, dtype=np.float32)
        length = float(np.linalg.norm(found))
        if found.shape != (1, self._dim) or not 0.0 < length < np.inf:
            raise EncoderError(
                f"{self._path} gives no vector of {self._dim} finite numbers, "
                f"but shape {found.shape}: install the model again"
            )
        vector: NDArray[np.float32] = found[0] / np.float32(length)
        return vector
