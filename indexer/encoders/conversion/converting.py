"""Converting an original checkpoint of LAION-CLAP into a model package.

The heavy work is done by a process of its own: what it loads is gone when it ends, and if the
memory does not suffice, the system ends it and not the user's session.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from indexer.encoders.packages import (
    TOKENIZER_FILE,
    ModelPackage,
    installed,
    models_folder,
    sha256_of,
    write_package,
)
from indexer.encoders.published import AVAILABLE
from indexer.errors import EncoderError
from indexer.fetch import Progress

FAMILY = "laion-clap"

NEEDED = ("torch", "transformers", "onnx")
"""What the extra ``clap`` installs."""

_PUBLISHED = frozenset(
    {
        "630k-best.pt",
        "630k-audioset-best.pt",
        "music_audioset_epoch_15_esc_90.14.pt",
        "music_speech_epoch_15_esc_89.25.pt",
        "music_speech_audioset_epoch_15_esc_89.98.pt",
    }
)
_PUBLISHED_LICENCE = "CC0-1.0 (what lukewys/laion_clap says of the checkpoint of this name)"
_UNKNOWN_LICENCE = "not stated"
_HASH_DIGITS = 8


def convert(
    checkpoint: Path,
    *,
    name: str | None = None,
    tokenizer: Path | None = None,
    licence: str | None = None,
    tell: Callable[[str], None],
    progress: Progress,
) -> ModelPackage:
    """Make a model package of a checkpoint that the package laion-clap reads.

    Parameters
    ----------
    checkpoint : Path
        HTSAT-tiny or HTSAT-base with RoBERTa, without fusion.
    name : str, optional
        Of the package, in place of the checkpoint's; the first digits of its hash follow in any
        case, for an id names weights.
    tokenizer : Path, optional
        RoBERTa's ``tokenizer.json``; by default that of an installed package of the family, else it
        is downloaded.
    licence : str, optional
        Of the weights; by default what is known of a published checkpoint of this name.
    tell : callable
        Called with a sentence before each step.
    progress : callable
        See `indexer.fetch.Progress`; called while the tokenizer is downloaded.

    Raises
    ------
    EncoderError
        If the extra ``clap`` is not installed, the checkpoint cannot be converted or has been, or
        the tokenizer is missing or another.
    """
    _need_extra()
    sha256 = sha256_of(checkpoint)
    id_ = f"{FAMILY}/{_version(name or checkpoint.stem)}-{sha256[:_HASH_DIGITS]}"

    def fill(folder: Path) -> None:
        try:
            _put_tokenizer(folder / TOKENIZER_FILE, tokenizer, progress)
        except OSError as error:
            raise EncoderError(
                f"the tokenizer cannot be copied to {folder} ({error.strerror})"
            ) from error
        tell(f"Reading {checkpoint.name}")
        _run(checkpoint, folder, tell)
        if sha256_of(checkpoint) != sha256:  # the id would name other weights than were read
            raise EncoderError(
                f"{checkpoint} was changed while it was read: run the command again when it is "
                "whole"
            )

    known = _PUBLISHED_LICENCE if checkpoint.name in _PUBLISHED else _UNKNOWN_LICENCE
    return write_package(
        id_,
        fill,
        licence=licence or known,
        source={"kind": "checkpoint", "file": checkpoint.name, "sha256": sha256},
        precision="fp32",
    )


def _need_extra() -> None:
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if lacking:
        raise EncoderError(
            f"{', '.join(lacking)} must be installed to convert a checkpoint: "
            'pip install "echoic[clap]", here or in a virtual environment of its own, whose '
            "`echoic models convert` installs the model for every Echoic of yours"
        )


def _version(name: str) -> str:
    """Make of a name what an id may hold."""
    version = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")
    if not version:
        raise EncoderError(f"no name for a model can be made of {name!r}: choose one with --name")
    return version


def _put_tokenizer(place: Path, given: Path | None, progress: Progress) -> None:
    """Copy or download the one tokenizer that all checkpoints of LAION-CLAP were trained with."""
    published = AVAILABLE[0]
    wanted = published.files[TOKENIZER_FILE].sha256
    if given is not None:
        shutil.copyfile(given, place)
        if (found := sha256_of(place)) != wanted:
            raise EncoderError(
                f"{given} is not the tokenizer of LAION-CLAP: its SHA-256 is {found}, not "
                f"{wanted}. It is published at {published.address(TOKENIZER_FILE)}"
            )
        return
    for package in installed():
        held = package.folder / TOKENIZER_FILE
        if held.is_file():
            shutil.copyfile(held, place)
            if sha256_of(place) == wanted:  # not what its package recorded: it may be damaged
                return
            place.unlink()
    _download_tokenizer(place, progress)


def _download_tokenizer(place: Path, progress: Progress) -> None:
    from dataclasses import replace

    from indexer.encoders.hub import download, look_up

    published = AVAILABLE[0]
    alone = replace(published, files={TOKENIZER_FILE: published.files[TOKENIZER_FILE]})
    try:
        [file] = look_up(alone)
        download(alone, file, place, progress=progress)
    except EncoderError as error:
        raise EncoderError(
            "the tokenizer of LAION-CLAP could not be downloaded. Download "
            f"{published.address(TOKENIZER_FILE)} by other means and name it: --tokenizer FILE"
        ) from error
    if sha256_of(place) != file.sha256:
        raise EncoderError(f"{file.url} did not bring the tokenizer of LAION-CLAP: try again")


def _run(checkpoint: Path, folder: Path, tell: Callable[[str], None]) -> None:
    """Convert in another process; pass on what it says."""
    # -P: a file of the current folder must not stand in for a module.
    command = [sys.executable, "-P", "-m", __package__, str(checkpoint.absolute()), str(folder)]
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",  # nothing but the checkpoint is needed
        "ECHOIC_PROVIDER": "cpu",  # the towers are compared in full precision
    }
    error = ""
    with tempfile.TemporaryFile("w+") as complaints:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            encoding="utf-8",
            env=environment,
        ) as process:
            try:
                for line in process.stdout or ():
                    message = _message(line)
                    error = message.get("error", error)
                    if "said" in message:
                        tell(message["said"])
            except BaseException:
                process.kill()  # interrupted: nothing of it is wanted any more
                raise
        if process.returncode == 0:
            return
        complaints.seek(0)
        error = error or _end_of_process(process.returncode, complaints.read())
    raise EncoderError(f"{checkpoint} cannot be converted: {error}")


def _message(line: str) -> dict[str, str]:
    """Read a line of the process; what libraries print themselves is passed over."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _end_of_process(code: int, complaints: str) -> str:
    if code < 0:
        return (
            f"the process was ended by signal {-code}, most likely for want of memory: free some, "
            f"or convert it on another machine and copy the folder to {models_folder() / FAMILY}"
        )
    return complaints.strip().rpartition("\n")[2] or f"the process ended with {code}"
