"""Files from the Hugging Face hub, or from a mirror of it: what it says of them, and their bytes.

The hub's own library knows the protocol, the endpoint (``HF_ENDPOINT``), the wish to stay offline
(``HF_HUB_OFFLINE``) and the proxy. Its downloads, though, begin anew after each interruption and go
through a cache, where they would take their space twice. So the bytes are received here, into a
file that the next try goes on with.
"""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

# Before the import, where it is read: else every request would say what else is installed here.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import httpx2
from huggingface_hub import get_hf_file_metadata, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.constants import HF_HUB_DOWNLOAD_TIMEOUT
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from indexer.encoders.published import PublishedPackage, endpoint
from indexer.errors import EncoderError
from indexer.fetch import Progress

_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 16  # what an interruption can lose
_TRIES = 3
_PAUSE_S = 1.0
_OTHER_HUB = "Unset HF_ENDPOINT if it names a mirror, or try again later"


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file that is to be received.

    Attributes
    ----------
    name : str
        In the package.
    path : str
        In the repository.
    url : str
    size_bytes : int
    sha256 : str
        What its bytes must have.
    is_pinned : bool
        Whether Echoic knew the hash; otherwise the hub said it.
    """

    name: str
    path: str
    url: str
    size_bytes: int
    sha256: str
    is_pinned: bool


def look_up(published: PublishedPackage) -> list[HubFile]:
    """Ask the hub about the files of a package, before anything is downloaded.

    Raises
    ------
    EncoderError
        If it cannot be reached, or does not have the files, or has others than those that are
        meant, or does not say the hash of one that Echoic does not know.
    """
    with _explained(published):
        return [_look_up(published, name) for name in published.files]


def _look_up(published: PublishedPackage, name: str) -> HubFile:
    file = published.files[name]
    url = hf_hub_url(
        published.repository, file.path, revision=published.revision, endpoint=endpoint()
    )
    told = get_hf_file_metadata(url, token=False, headers=_headers())
    where = f"{file.path} of {published.repository} at {endpoint()}"
    # Where the hash is known, the bytes are certain, whoever has them.
    if told.commit_hash is None and file.sha256 is None:
        raise EncoderError(
            f"{where} is offered without its revision, so that the hash that is told of it means "
            f"nothing: nothing was downloaded. {_OTHER_HUB}"
        )
    if told.commit_hash not in (None, published.revision):
        raise EncoderError(
            f"{where} is offered in revision {told.commit_hash}, not in {published.revision}, the "
            "one that was asked for: nothing was downloaded"
        )
    sha256 = told.etag if told.etag and _SHA256.fullmatch(told.etag) else None
    if sha256 is None and file.sha256 is None:
        raise EncoderError(
            f"no SHA-256 is told for {where}, so that what comes could not be checked: nothing was "
            f"downloaded. {_OTHER_HUB}"
        )
    if sha256 and file.sha256 and sha256 != file.sha256:
        raise EncoderError(
            f"{where} is not the file that Echoic knows: its SHA-256 is {sha256}, not "
            f"{file.sha256}. Nothing was downloaded"
        )
    return HubFile(
        name=name,
        path=file.path,
        url=url,
        # What Echoic knows of a size is for display, and second-hand where it knows no hash.
        size_bytes=told.size or file.size_bytes,
        sha256=file.sha256 or sha256 or "",
        is_pinned=file.sha256 is not None,
    )


def download(published: PublishedPackage, file: HubFile, part: Path, *, progress: Progress) -> None:
    """Receive a file, or the rest of it; its hash is not looked at.

    A connection that breaks is made anew as long as something comes.

    Parameters
    ----------
    published : PublishedPackage
    file : HubFile
    part : Path
        What has come so far, if anything has.
    progress : callable

    Raises
    ------
    EncoderError
        If the hub cannot be reached or sends what it should not. What came is kept.
    OSError
        If it cannot be written.
    """
    tries = _TRIES
    while (held := _size(part)) < file.size_bytes:
        broken: httpx2.TransportError | None = None
        with _explained(published):
            try:
                _receive(file, part, held, progress)
            except httpx2.TransportError as error:
                broken = error
            tries = _TRIES if _size(part) > held else tries - 1
            if not tries:
                raise broken or httpx2.ReadError("the connection ends before the file does")
        if broken:
            time.sleep(_PAUSE_S)


def _receive(file: HubFile, part: Path, held: int, progress: Progress) -> None:
    headers = _headers() | ({"Range": f"bytes={held}-"} if held else {})
    timeout = HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", file.url, headers=headers, timeout=timeout) as response:
        hf_raise_for_status(response)
        if response.status_code != 206:
            held = 0
        with part.open("ab" if held else "wb") as out:
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                held += len(chunk)
                if held > file.size_bytes:
                    raise EncoderError(
                        f"{file.url} sends more than the {file.size_bytes:,} bytes of the file: "
                        "run the same command again"
                    )
                out.write(chunk)
                progress(f"downloading {file.path}", held, file.size_bytes)


def _headers() -> dict[str, str]:
    # A compressed file could not be gone on with from the middle.
    return {"user-agent": f"echoic/{version('echoic')}", "Accept-Encoding": "identity"}


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


@contextmanager
def _explained(published: PublishedPackage) -> Iterator[None]:
    """Turn what the network does into sentences."""
    try:
        yield
    except HfHubHTTPError as error:
        status, url = error.response.status_code, error.response.request.url
        raise EncoderError(
            f"{endpoint()} answers {status} when asked for {url.path}. Run the same command again "
            f"later to go on; {by_hand(published)}"
        ) from error
    except OfflineModeIsEnabled as error:
        raise EncoderError(
            f"HF_HUB_OFFLINE is set, so nothing is downloaded. Unset it; {by_hand(published)}"
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise EncoderError(
            f"{endpoint()} cannot be reached ({str(error) or type(error).__name__}). With a "
            f"connection, the same command goes on where it stopped; {by_hand(published)}"
        ) from error


def by_hand(published: PublishedPackage) -> str:
    """Say how to install a package on a machine that cannot download it."""
    addresses = "".join(f"\n  {published.address(name)}" for name in published.files)
    light = " --light" if published.precision == "int8" else ""
    family = published.id.partition("/")[0]
    return (
        "or download these by other means into one folder:"
        f"{addresses}\nand then: echoic models install {family}{light} --from FOLDER"
    )
