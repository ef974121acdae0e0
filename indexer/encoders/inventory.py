"""Which encoders are on this machine, which can be had, and whether they are whole."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from indexer.encoders import DEFAULT_ENCODER, load_encoder
from indexer.encoders.installing import unfinished
from indexer.encoders.packages import (
    MODEL_FILE,
    check_package,
    damaged,
    installed,
    models_folder,
)
from indexer.encoders.published import AVAILABLE
from indexer.errors import EncoderError, NewerModel

State = Literal["bundled", "installed", "damaged", "newer", "unfinished", "available"]


@dataclass(frozen=True, slots=True)
class Model:
    """An encoder that is here, or can be.

    Attributes
    ----------
    id : str
    state : str
        ``"bundled"`` with Echoic, ``"installed"``, ``"damaged"``, ``"newer"`` (made for a newer
        Echoic), ``"unfinished"`` (its download was interrupted), or ``"available"``.
    size_bytes : int
        On disk; of an available one, what it would take.
    precision : str
        ``"fp32"`` or ``"int8"``; empty where it is not known.
    licence : str
        Of the weights; empty where it is not known.
    source : dict of str to str
        Where the weights are from.
    folder : str
        Where it is; empty if it comes with Echoic or is only available.
    fault : str
        What is wrong with a damaged or a newer one.
    """

    id: str
    state: State
    size_bytes: int
    precision: str
    licence: str
    source: dict[str, str]
    folder: str = ""
    fault: str = ""


def inventory() -> list[Model]:
    """Return all models: bundled, installed, damaged, then those that can be installed."""
    here = [_bundled(), *_installed(), *_damaged()]
    ids = {model.id for model in here}
    return here + [model for model in _available() if model.id not in ids]


def id_here(name: str) -> str:
    """Return the id of a model that is here, whole or not, whose family may be all that is named.

    Raises
    ------
    EncoderError
        If there is none, or several.
    """
    here = [model.id for model in inventory() if model.state != "available"]
    named = [id_ for id_ in here if name in (id_, id_.partition("/")[0])]
    if len(named) == 1:
        return named[0]
    if named:
        raise EncoderError(f"there are several models {name!r}: name one of {', '.join(named)}")
    raise EncoderError(f"there is no model {name!r} here (there are: {', '.join(here)})")


def check_models(id_: str | None = None) -> dict[str, list[str]]:
    """Read every file of every model, or of one that is here, and compare it with its hash.

    Returns
    -------
    dict of str to list of str
        What is wrong, by id; an empty list where all is well.
    """
    found = {DEFAULT_ENCODER: _faults_of_bundled()} if id_ in (None, DEFAULT_ENCODER) else {}
    for package in installed():
        if id_ in (None, package.id):
            found[package.id] = check_package(package)
    for model in _damaged():
        if id_ in (None, model.id):
            found[model.id] = [model.fault]
    for part in unfinished():
        if id_ == part.id and part.id not in found:
            found[part.id] = [f"unfinished: `echoic models install {part.id}` goes on"]
    return found


def _faults_of_bundled() -> list[str]:
    try:
        load_encoder(DEFAULT_ENCODER)  # it hashes all that it will ever read
    except EncoderError as error:
        return [str(error)]
    return []


def _bundled() -> Model:
    folder = files("indexer.encoders.echoic_mini")
    model = json.loads((folder / MODEL_FILE).read_text("utf-8"))
    return Model(
        id=DEFAULT_ENCODER,
        state="bundled",
        size_bytes=sum(len((folder / name).read_bytes()) for name in model["sha256"]),
        precision="fp32",
        licence=model["licence"],
        source={"kind": "bundled"},
    )


def _installed() -> list[Model]:
    return [
        Model(
            id=package.id,
            state="installed",
            size_bytes=package.size_bytes,
            precision=package.precision,
            licence=package.licence,
            source=dict(package.source),
            folder=str(package.folder),
        )
        for package in installed()
    ]


def _damaged() -> list[Model]:
    return [
        Model(
            id=folder.relative_to(models_folder()).as_posix(),
            state="newer" if isinstance(fault, NewerModel) else "damaged",
            size_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
            precision="",
            licence="",
            source={},
            folder=str(folder),
            fault=str(fault),
        )
        for folder, fault in damaged()
    ]


def _available() -> list[Model]:
    begun = {part.id: part.size_bytes for part in unfinished()}
    return [
        Model(
            id=published.id,
            state="unfinished" if published.id in begun else "available",
            size_bytes=begun.get(published.id, published.size_bytes),
            precision=published.precision,
            licence=published.licence,
            source={
                "kind": "huggingface",
                "repository": published.repository,
                "revision": published.revision,
            },
        )
        for published in AVAILABLE
    ]
