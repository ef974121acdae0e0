"""Model packages: the folders that encoders which do not come with Echoic are installed in.

A package is ``<models folder>/<family>/<version>/`` with ``model.json``, the two towers
``audio.onnx`` and ``text.onnx``, and ``tokenizer.json``. It appears whole or not at all.
``docs/laion-clap.md`` describes ``model.json``.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from db.index_folder import sync_folder
from indexer.errors import EncoderError, NewerModel

FORMAT = 1
"""Of ``model.json``; a package with a newer one is refused."""

MODEL_FILE = "model.json"
AUDIO_FILE = "audio.onnx"
TEXT_FILE = "text.onnx"
TOKENIZER_FILE = "tokenizer.json"
CONTENTS = (AUDIO_FILE, TEXT_FILE, TOKENIZER_FILE)
"""What every package holds beside its ``model.json``."""

CLAP_PREPARATION = (
    "mono at 48 kHz, a recording shorter than 10 s repeated whole times and followed by silence, "
    "STFT 1024/480 (Hann, centred, reflected edges), power, 64 Slaney mel bands from 50 Hz to "
    "14 kHz, 10 log10 with a floor of 1e-10"
)
"""What the towers of LAION-CLAP were trained to listen to."""

_ID = re.compile(r"[a-z0-9][a-z0-9-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_MARK = "~"  # no id has one, so that no package's temporary folders are taken for another's
_CHUNK_BYTES = 1 << 20
_ANEW = "remove the folder and install the model again"


@dataclass(frozen=True, slots=True)
class PackageFile:
    """A file of a package, as it was when the package was made."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ModelPackage:
    """What ``model.json`` says of an encoder.

    Attributes
    ----------
    id : str
        Names weights and preparation; family and version, as ``"laion-clap/htsat-unfused"``.
    folder : Path
    sample_rate : int
        In Hz.
    window_s, hop_s : float
    dim : int
    preparation : str
        One sentence: what is done to a sound before the audio tower hears it.
    licence : str
        Of the weights.
    source : mapping of str to str
        Where the weights are from; ``kind`` says what the other keys are.
    precision : str
        ``"fp32"`` or ``"int8"``.
    files : mapping of str to PackageFile
        By name; at least `CONTENTS`.
    """

    id: str
    folder: Path
    sample_rate: int
    window_s: float
    hop_s: float
    dim: int
    preparation: str
    licence: str
    source: Mapping[str, str]
    precision: str
    files: Mapping[str, PackageFile]

    @property
    def size_bytes(self) -> int:
        """Of all its files together."""
        return sum(file.size_bytes for file in self.files.values())


def models_folder() -> Path:
    """Return the folder of all packages: ``$ECHOIC_MODELS``, else in the user's data folder."""
    configured = os.environ.get("ECHOIC_MODELS")
    if configured:
        return Path(configured).expanduser()
    return Path(platformdirs.user_data_dir("echoic", appauthor=False)) / "models"


def package_folder(id_: str) -> Path:
    """Return where the package of an id is, or would be.

    Raises
    ------
    EncoderError
        If it is no id of a package: ``family/version`` in letters, digits, ``.``, ``_``, ``-``.
    """
    if not _ID.fullmatch(id_):
        raise EncoderError(
            f"{id_!r} is no id of a model: write family/version, "
            "in letters, digits, '.', '_' and '-', as laion-clap/htsat-unfused"
        )
    return models_folder().joinpath(*id_.split("/"))


def installed() -> list[ModelPackage]:
    """Return all packages that can be read, by id; `damaged` names the others."""
    return [found for _, found in _survey() if isinstance(found, ModelPackage)]


def damaged() -> list[tuple[Path, EncoderError]]:
    """Return the folders of packages that cannot be read, and why; `NewerModel` is no damage."""
    return [(folder, found) for folder, found in _survey() if isinstance(found, EncoderError)]


def read_package(folder: Path) -> ModelPackage:
    """Read the ``model.json`` of a folder; its other files are not looked at.

    Raises
    ------
    NewerModel
        If it was written by a newer Echoic.
    EncoderError
        If it is missing, or is not what it should be.
    """
    path = folder / MODEL_FILE
    try:
        model = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"the model in {folder} is damaged: {MODEL_FILE} cannot be read ({error}); {_ANEW}"
        ) from error
    try:
        if model["format"] > FORMAT:
            raise NewerModel(
                f"the model in {folder} is of format {model['format']}, this Echoic reads "
                f"{FORMAT}: install a newer Echoic"
            )
        return _parse(model, folder)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EncoderError(
            f"the model in {folder} is damaged: {MODEL_FILE} lacks or misstates {error}; {_ANEW}"
        ) from error


def write_package(
    id_: str,
    fill: Callable[[Path], None],
    *,
    licence: str,
    source: Mapping[str, str],
    precision: str,
    rescue: Callable[[Path], None] = lambda folder: None,
    preparation: str = CLAP_PREPARATION,
    sample_rate: int = 48_000,
    window_s: float = 10.0,
    hop_s: float = 5.0,
    dim: int = 512,
) -> ModelPackage:
    """Make a package, which appears whole or not at all, even if the power fails.

    Parameters
    ----------
    fill : callable
        Puts `CONTENTS` into the empty folder that it is given, beside where the package will be, so
        that files of the models folder can be moved there without a copy.
    rescue : callable
        Given the same folder if the package does not come about, before it is removed.

    Raises
    ------
    EncoderError
        If the id is installed already or being installed by another process, if `fill` left a file
        out, or if the folder cannot be written to. What `fill` raises passes.
    """
    place = package_folder(id_)
    with alone(place):
        if place.exists():
            raise EncoderError(
                f"{id_} is installed already, in {place}: `echoic models remove {id_}` removes it"
            )
        _clear(place)
        with _temporary_folder(place, rescue) as folder:
            fill(folder)
            lacking = [name for name in CONTENTS if not (folder / name).is_file()]
            if lacking:
                raise EncoderError(f"the model {id_} is incomplete: it lacks {', '.join(lacking)}")
            model: dict[str, Any] = {
                "format": FORMAT,
                "id": id_,
                "sample_rate": sample_rate,
                "window_s": window_s,
                "hop_s": hop_s,
                "dim": dim,
                "preparation": preparation,
                "licence": licence,
                "source": dict(source),
                "precision": precision,
            }
            try:
                model["files"] = {name: _describe(folder / name) for name in CONTENTS}
                _write_json(folder / MODEL_FILE, model)
                sync_folder(folder)
                folder.rename(place)
                sync_folder(place.parent)
            except OSError as error:
                raise _unwritable(place, error) from error
    return read_package(place)


def size_faults(package: ModelPackage) -> list[str]:
    """Return what is wrong with a package at first sight: files that lack, or changed in size."""
    faults = []
    for name, file in package.files.items():
        try:
            size_bytes = (package.folder / name).stat().st_size
        except OSError as error:
            faults.append(f"{name} is missing ({error.strerror})")
            continue
        if size_bytes != file.size_bytes:
            faults.append(f"{name} has {size_bytes:,} bytes, not {file.size_bytes:,}")
    return faults


def check_package(package: ModelPackage) -> list[str]:
    """Return what is wrong with a package, every byte of it read; empty if it is whole."""
    faults = size_faults(package)
    for name, file in package.files.items():
        if any(fault.startswith(f"{name} ") for fault in faults):
            continue
        try:
            found = sha256_of(package.folder / name)
        except OSError as error:
            faults.append(f"{name} cannot be read ({error.strerror})")
            continue
        if found != file.sha256:
            faults.append(f"{name} is damaged: its SHA-256 is {found}, not {file.sha256}")
    return faults


def remove_package(id_: str) -> None:
    """Remove a package, whole or damaged.

    Raises
    ------
    EncoderError
        If it is not installed, or its files cannot be removed.
    """
    place = package_folder(id_)
    if not place.is_dir():
        names = ", ".join(package.id for package in installed()) or "none"
        raise EncoderError(f"no model {id_} is installed (installed: {names})")
    with alone(place):
        try:
            # Renamed first: a package that is half removed must not look like one.
            hidden = Path(tempfile.mkdtemp(prefix=f".{place.name}{_MARK}", dir=place.parent))
            place.rename(hidden / "removed")
            shutil.rmtree(hidden)
        except OSError as error:
            raise EncoderError(
                f"{place} cannot be removed ({error.strerror}): end what uses the model, "
                "or remove the folder by hand"
            ) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _survey() -> list[tuple[Path, ModelPackage | EncoderError]]:
    """Return every folder of a package with what it holds, or what is wrong with it, by id."""
    found: list[tuple[Path, ModelPackage | EncoderError]] = []
    for folder in sorted(models_folder().glob("[!.]*/[!.]*")):
        if not folder.is_dir():
            continue
        try:
            found.append((folder, read_package(folder)))
        except EncoderError as error:
            found.append((folder, error))
    return found


def _parse(model: dict[str, Any], folder: Path) -> ModelPackage:
    package = ModelPackage(
        id=str(model["id"]),
        folder=folder,
        sample_rate=int(model["sample_rate"]),
        window_s=float(model["window_s"]),
        hop_s=float(model["hop_s"]),
        dim=int(model["dim"]),
        preparation=str(model["preparation"]),
        licence=str(model["licence"]),
        source={str(key): str(value) for key, value in model["source"].items()},
        precision=str(model["precision"]),
        files={
            str(name): PackageFile(str(file["sha256"]), int(file["size_bytes"]))
            for name, file in model["files"].items()
        },
    )
    if package.id != f"{folder.parent.name}/{folder.name}":
        raise ValueError(f"its id: {package.id} does not belong in {folder.parent.name}/")
    if not (package.sample_rate > 0 and 0 < package.hop_s <= package.window_s and package.dim > 0):
        raise ValueError("its window, hop, rate or dim")
    if not set(CONTENTS) <= set(package.files) or any(
        Path(name).name != name for name in package.files
    ):
        raise ValueError("its files")
    return package


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Keep other processes from installing or removing the package of a folder meanwhile.

    Raises
    ------
    EncoderError
        If another process does so already, or the folder cannot be written to.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.with_name(f".{place.name}.lock"))
        lock.acquire(timeout=0)
    except Timeout:
        raise EncoderError(
            f"another process is installing or removing {place.parent.name}/{place.name}: "
            "wait until it has finished"
        ) from None
    except OSError as error:
        raise _unwritable(place, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _temporary_folder(place: Path, rescue: Callable[[Path], None]) -> Iterator[Path]:
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{place.name}{_MARK}", dir=place.parent))
        folder.chmod(0o755)  # as any folder: others may read the models
    except OSError as error:
        raise _unwritable(place, error) from error
    try:
        yield folder
    except BaseException:
        rescue(folder)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # gone from here if all went well


def _clear(place: Path) -> None:
    """Remove what a process left that was killed while it wrote; the lock is held."""
    for left in place.parent.glob(f".{place.name}{_MARK}*"):
        shutil.rmtree(left, ignore_errors=True)


def _describe(path: Path) -> dict[str, str | int]:
    with path.open("rb") as file, suppress(OSError):  # some systems sync only what is written to
        os.fsync(file.fileno())
    return {"sha256": sha256_of(path), "size_bytes": path.stat().st_size}


def _write_json(path: Path, model: Mapping[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(model, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def _unwritable(place: Path, error: OSError) -> EncoderError:
    return EncoderError(
        f"the model cannot be written to {place} ({error.strerror or error}): make room on the "
        "disk, give yourself the right to write there, or set ECHOIC_MODELS to another folder"
    )
