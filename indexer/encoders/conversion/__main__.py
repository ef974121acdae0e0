"""The process that converts: ``python -m indexer.encoders.conversion CHECKPOINT FOLDER``.

`converting` starts it. It writes both towers into the folder and says on the standard output how
far it is, one JSON object a line: ``{"said": ...}``, or ``{"error": ...}`` before it ends with 2.
"""

import json
import sys
import warnings
from pathlib import Path

from db.errors import EchoicError


def main(checkpoint: Path, folder: Path) -> None:
    """Write the towers of a checkpoint into a folder.

    Raises
    ------
    EncoderError
        If it is no checkpoint that can be converted.
    """
    from indexer.encoders.conversion.checkpoint import read_weights
    from indexer.encoders.conversion.mapping import recognise
    from indexer.encoders.conversion.preparation import check_preparation

    weights = read_weights(checkpoint)
    architecture = recognise(weights)
    check_preparation(weights)

    from transformers.utils import logging  # takes seconds: a wrong file is told of before

    from indexer.encoders.conversion.towers import build, count_weights, export

    logging.set_verbosity_error()
    model = build(weights, architecture)
    _say(said=f"It is {architecture.name} with {count_weights(model) / 1e6:.0f} million weights")
    export(model, folder, lambda said: _say(said=said))


def _say(**what: str) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of the exporter about itself
    try:
        main(*map(Path, sys.argv[1:]))
    except EchoicError as error:
        _say(error=str(error))
        sys.exit(2)
    except ImportError as error:
        _say(error=f"{error} (in a virtual environment of its own, echoic[clap] is undisturbed)")
        sys.exit(2)
    except OSError as error:
        _say(error=f"its towers cannot be written ({error.strerror or error})")
        sys.exit(2)
