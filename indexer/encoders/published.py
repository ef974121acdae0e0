"""The model packages that others publish and Echoic can install, and what is known of their files.

Echoic has no part in publishing them, so a revision is named, not a branch: what lies there cannot
change. Where a hash is known, no other bytes are taken.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from indexer.encoders.packages import AUDIO_FILE, TEXT_FILE, TOKENIZER_FILE
from indexer.errors import EncoderError

HUB = "https://huggingface.co"


def endpoint() -> str:
    """Return where files are asked for: the hub, or the mirror that ``HF_ENDPOINT`` names."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A file as it is published.

    Attributes
    ----------
    path : str
        In the repository, as ``"onnx/audio_model.onnx"``.
    size_bytes : int
    sha256 : str or None
        None if it is the hub that says it, for the revision that is named here.
    """

    path: str
    size_bytes: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class PublishedPackage:
    """A package that can be installed.

    Attributes
    ----------
    id : str
        As in `indexer.encoders.packages.ModelPackage`.
    repository, revision : str
        On the Hugging Face hub; the revision is the hash of a commit.
    precision : str
        ``"fp32"`` or ``"int8"``.
    licence : str
        Of the weights, as the publisher says.
    files : mapping of str to PublishedFile
        By the name that they have in a package.
    """

    id: str
    repository: str
    revision: str
    precision: str
    licence: str
    files: Mapping[str, PublishedFile]

    @property
    def size_bytes(self) -> int:
        """Of all its files together."""
        return sum(file.size_bytes for file in self.files.values())

    def address(self, name: str) -> str:
        """Return where a file of the package can be downloaded by any means."""
        return f"{HUB}/{self.repository}/resolve/{self.revision}/{self.files[name].path}"


_XENOVA = ("Xenova/clap-htsat-unfused", "c28f2883575e590e04d3146ff0713c2448d691ba")
_TOKENIZER = PublishedFile(
    "tokenizer.json",
    2_108_774,
    "dc239041d98de27ffc3975473a1a23e3db4c937b23c138c38bbc66588bd247e5",
)

AVAILABLE: tuple[PublishedPackage, ...] = (
    PublishedPackage(
        id="laion-clap/htsat-unfused",
        repository=_XENOVA[0],
        revision=_XENOVA[1],
        precision="fp32",
        licence="Apache-2.0",
        files={
            AUDIO_FILE: PublishedFile("onnx/audio_model.onnx", 117_528_416),
            TEXT_FILE: PublishedFile("onnx/text_model.onnx", 501_513_769),
            TOKENIZER_FILE: _TOKENIZER,
        },
    ),
    PublishedPackage(
        id="laion-clap/htsat-unfused-int8",
        repository=_XENOVA[0],
        revision=_XENOVA[1],
        precision="int8",
        licence="Apache-2.0",
        files={
            AUDIO_FILE: PublishedFile(
                "onnx/audio_model_quantized.onnx",
                34_301_667,
                "3fcff2c8824e7bcb83a983f2a49edab3b60cbcf4872ac70efee517355173bd1f",
            ),
            TEXT_FILE: PublishedFile(
                "onnx/text_model_quantized.onnx",
                126_603_263,
                "1a3df8b197e249816e08415fd040434c44762b2eea7eb7bf8a48a0f0bf3c14e5",
            ),
            TOKENIZER_FILE: _TOKENIZER,
        },
    ),
)
"""Of each family, what its name alone means comes first."""


def find_published(name: str, *, light: bool = False) -> PublishedPackage:
    """Return the package that a name means.

    Parameters
    ----------
    name : str
        An id, or the name of a family.
    light : bool
        Whether the quantised package of that family is meant.

    Raises
    ------
    EncoderError
        If nothing of this name is published; the message lists what is.
    """
    family = name.partition("/")[0]
    of_family = [package for package in AVAILABLE if package.id.startswith(f"{family}/")]
    named = [package for package in of_family if name in (family, package.id)]
    if named and light:
        named = [package for package in of_family if package.precision == "int8"]
    if not named:
        ids = ", ".join(package.id for package in AVAILABLE)
        raise EncoderError(f"there is no model {name!r} to install: there are {ids}")
    return named[0]
