"""Converted checkpoints give the vectors that the package laion-clap gives.

Runs by ``make parity`` where the extra ``clap`` is installed. What laion-clap gives comes from a
process of its own in another virtual environment, see ``reference.py``.
"""

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.encoders import Encoder
from indexer.encoders.conversion.converting import convert
from indexer.encoders.conversion.towers import TOLERANCE, _compare, _Tower, _write
from indexer.encoders.laion_clap import LaionClap
from indexer.encoders.packages import ModelPackage, check_package, installed, read_package
from indexer.errors import EncoderError
from indexer.mono import read_mono

PROJECT = Path(__file__).resolve().parents[2]
TOLERATED = 1e-4
SOUNDS = ("10 s", "7.3 s", "3 s", "0.5 s", "noise", "quiet", "recording")


@dataclass(frozen=True)
class Converted:
    """A checkpoint, what laion-clap makes of it, and the package that Echoic makes of it."""

    folder: Path
    package: ModelPackage
    said: list[str]
    encoder: Encoder
    reference: dict[str, np.ndarray]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the recorded reference of LAION-CLAP: its tokenizer and a recording."""
    audio = Path(os.environ.get("ECHOIC_TEST_AUDIO", PROJECT.parent / "shared" / "audio"))
    folder = audio.parent / "clap-reference"
    # CI asks for it, so that its absence is a failure there and not a silence.
    refuse = pytest.fail if os.environ.get("ECHOIC_REQUIRE_PARITY") else pytest.skip
    if not folder.is_dir():
        refuse(
            f"no reference of LAION-CLAP in {folder}: ECHOIC_TEST_AUDIO names a folder beside it"
        )
    if "LAION_CLAP_PYTHON" not in os.environ:
        refuse("LAION_CLAP_PYTHON does not name a Python with laion-clap: run `make parity`")
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Converted]:
    """A checkpoint of HTSAT-tiny with random weights, converted by the command."""
    yield from convert_random("HTSAT-tiny", tmp_path_factory.mktemp("tiny"), shared)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Converted]:
    """A checkpoint of HTSAT-base with random weights, converted by the command."""
    yield from convert_random("HTSAT-base", tmp_path_factory.mktemp("base"), shared)


@pytest.fixture(params=["tiny", "base"], scope="session")
def converted(request: pytest.FixtureRequest) -> Converted:
    """Each of them."""
    return request.getfixturevalue(request.param)


def convert_random(amodel: str, folder: Path, shared: Path) -> Iterator[Converted]:
    """Make a checkpoint by laion-clap, convert it, and remove both in the end."""
    tokenizer = shared / "tokenizer.json"
    made = subprocess.run(
        [
            os.environ["LAION_CLAP_PYTHON"],
            Path(__file__).with_name("reference.py"),
            folder,
            amodel,
            tokenizer,
            shared / "sample.wav",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    ran = by_command(folder, "--tokenizer", str(tokenizer))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    [place] = (folder / "models/laion-clap").glob("[!.]*")
    package = read_package(place)
    with np.load(folder / "reference.npz") as file:
        reference = {name: file[name] for name in file.files}
    said = ran.stderr.splitlines()
    print("\n" + "\n".join(said))
    yield Converted(folder, package, said, LaionClap(package), reference)
    shutil.rmtree(folder)  # gigabytes


def by_command(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Convert the checkpoint of a folder as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "ui", "models", "convert", folder / "checkpoint.pt", *options],
        env={**os.environ, "ECHOIC_MODELS": str(folder / "models")},
        capture_output=True,
        text=True,
        check=False,
    )


def by_echoic(converted: Converted, samples: np.ndarray) -> np.ndarray:
    encoder = converted.encoder
    return encoder.embed_audio(encoder.pad(samples)[None])[0]


@pytest.mark.parametrize("sound", SOUNDS)
def test_a_sound_gets_the_vector_that_laion_clap_gives(converted: Converted, sound: str):
    found = by_echoic(converted, converted.reference[f"samples {sound}"])
    wanted = converted.reference[f"vector of {sound}"]
    print(f"\n{sound}: {np.abs(found - wanted).max():.1e}")
    assert np.abs(found - wanted).max() < TOLERATED


@pytest.mark.parametrize("sound", SOUNDS)
def test_a_sound_rounded_to_16_bits_gets_the_vector_of_laion_claps_own_path(
    converted: Converted, sound: str
):
    found = by_echoic(converted, converted.reference[f"rounded {sound}"].astype(np.float32))
    wanted = converted.reference[f"vector of rounded {sound}"]
    assert np.abs(found - wanted).max() < TOLERATED


def test_a_file_differs_from_laion_claps_path_by_no_more_than_its_rounding(
    converted: Converted, shared: Path
):
    encoder, reference = converted.encoder, converted.reference
    samples = read_mono(shared / "sample.wav", sr=encoder.sample_rate)
    found = by_echoic(converted, samples)
    wanted = reference["vector of file"]
    rounding = np.abs(reference["vector of recording"] - reference["vector of rounded recording"])
    print(f"\nfile: {np.abs(found - wanted).max():.1e}, rounding: {rounding.max():.1e}")
    assert np.abs(found - wanted).max() < rounding.max() + TOLERATED


def test_phrases_get_the_vectors_and_tokens_that_laion_clap_gives(converted: Converted):
    from indexer.encoders.laion_clap.tokens import Tokens

    reference = converted.reference
    phrases = [str(phrase) for phrase in reference["phrases"]]
    difference = np.abs(converted.encoder.embed_text(phrases) - reference["vectors of phrases"])
    print(f"\nphrases: {difference.max():.1e}")
    assert difference.max() < TOLERATED
    tokens = Tokens(converted.package.folder / "tokenizer.json")
    rows = zip(phrases, reference["tokens"], reference["lengths"], strict=True)
    for phrase, wanted, length in rows:
        np.testing.assert_array_equal(tokens.of(phrase), wanted[:length])


def test_different_sounds_and_phrases_are_far_apart_so_that_equal_vectors_mean_something(
    converted: Converted,
):
    reference = converted.reference
    for vectors in (
        np.stack([reference[f"vector of {sound}"] for sound in SOUNDS]),
        reference["vectors of phrases"],
    ):
        apart = np.abs(vectors[:, None] - vectors[None]).max(axis=2)
        assert apart[~np.eye(len(vectors), dtype=bool)].min() > 50 * TOLERATED


def test_the_package_says_what_it_was_made_of_and_is_whole(converted: Converted):
    package = converted.package
    assert check_package(package) == []
    assert package.source["kind"] == "checkpoint"
    assert package.id == f"laion-clap/checkpoint-{package.source['sha256'][:8]}"
    assert package.licence == "not stated"
    assert any(line.startswith("It is HTSAT-") for line in converted.said)
    assert not list((converted.folder / "models/laion-clap").glob(".*~*"))


def test_a_checkpoint_is_not_converted_twice(tiny: Converted):
    ran = by_command(tiny.folder)
    assert ran.returncode == 2
    assert f"{tiny.package.id} is installed already" in ran.stderr


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.fixture
def refused(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch):
    """Convert a file that must be refused; return the sentence."""
    monkeypatch.setenv("ECHOIC_MODELS", str(tmp_path / "models"))

    def run(path: Path) -> str:
        with pytest.raises(EncoderError) as caught:
            convert(
                path,
                tokenizer=shared / "tokenizer.json",
                tell=lambda _: None,
                progress=lambda *_: None,
            )
        path.unlink()  # hundreds of megabytes
        assert installed() == []
        assert not list((tmp_path / "models/laion-clap").glob("[!.]*"))
        return str(caught.value)

    return run


@pytest.mark.parametrize("kind", ["of torch", "plain", "of a newer protocol"])
def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path, refused, kind: str):
    path, marker = tmp_path / "attack.pt", tmp_path / "attacked"
    if kind == "of torch":
        torch.save({"state_dict": Attack(marker)}, path)
    else:
        protocol = 2 if kind == "plain" else pickle.HIGHEST_PROTOCOL
        path.write_bytes(pickle.dumps({"state_dict": Attack(marker)}, protocol))
    said = refused(path)
    assert f"would call {os.system.__module__}.system" in said or "no checkpoint of torch" in said
    assert ("would call" in said) == (kind != "of a newer protocol")
    assert not marker.exists()
    pickle.loads(pickle.dumps(Attack(marker)))
    assert marker.exists(), "the attack is none"


def test_a_checkpoint_that_is_cut_off_is_refused(tiny: Converted, tmp_path: Path, refused):
    path = tmp_path / "part.pt"
    with tiny.checkpoint.open("rb") as file:
        path.write_bytes(file.read(10_000_000))
    assert "damaged" in refused(path)


@pytest.mark.parametrize("content", [b"", b"RIFF....WAVEfmt ", b"PK\x03\x04 no archive"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, refused, content: bytes):
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    assert "no checkpoint of torch" in refused(path)


def changed(tiny: Converted, path: Path, change) -> Path:
    """Write a checkpoint whose weights have been changed."""
    weights = torch.load(tiny.checkpoint, weights_only=False, mmap=True)["state_dict"]
    change(weights)
    torch.save({"state_dict": weights}, path)
    return path


FILTERS = "module.audio_branch.logmel_extractor.melW"
NORM = "module.audio_branch.layers.2.blocks.3.norm1.weight"


def test_weights_that_lack_or_are_too_many_or_do_not_fit_are_refused(
    tiny: Converted, tmp_path: Path, refused
):
    def rename(weights):
        weights["module.audio_branch.something.weight"] = weights.pop(NORM)

    def misfit(weights):
        weights[NORM] = torch.zeros(5)

    said = refused(changed(tiny, tmp_path / "renamed.pt", rename))
    assert "1 are missing (audio_model.audio_encoder.layers.2.blocks.3.layernorm_before" in said
    assert "1 are not known (audio_model.audio_encoder.something.weight)" in said
    assert "do not fit HTSAT-tiny" in refused(changed(tiny, tmp_path / "misfit.pt", misfit))


def test_a_checkpoint_trained_on_another_spectrogram_is_refused(
    tiny: Converted, tmp_path: Path, refused
):
    def shift(weights):
        weights[FILTERS] = torch.roll(weights[FILTERS], 1, dims=0)

    said = refused(changed(tiny, tmp_path / "shifted.pt", shift))
    assert "trained on another spectrogram" in said


def test_an_exported_network_that_is_right_for_one_batch_size_only_is_found(tmp_path: Path):
    class Fixed(torch.nn.Module):
        def forward(self, value):
            n = int(value.shape[0])  # a constant once it is traced, as in laion-clap's own tower
            pooled = value.reshape(n, -1)[:, :64] + value.reshape(-1, 64)[n]
            return type("Out", (), {"pooler_output": pooled})

    tower = _Tower(Fixed(), torch.nn.Linear(64, 8)).eval()
    numbers = torch.Generator().manual_seed(0)
    values = [torch.rand(n, 1, 4, 64, generator=numbers) for n in (1, 2, 3)]
    path = tmp_path / "audio.onnx"
    _write(tower, values[1], path, ("input_features", {0: "batch"}), "audio_embeds")
    _compare(tower, path, values[1:2], lambda _: None)
    with pytest.raises(EncoderError, match=f"more than {TOLERANCE:.0e}"):
        _compare(tower, path, [values[0], values[2]], lambda _: None)


def test_an_exported_network_that_gives_no_number_is_found(tmp_path: Path):
    class Mean(torch.nn.Module):
        def forward(self, value):
            return type("Out", (), {"pooler_output": value.mean((1, 2))})

    tower = _Tower(Mean(), torch.nn.Linear(64, 8, bias=False)).eval()
    ones, silence = torch.ones(1, 1, 4, 64), torch.zeros(1, 1, 4, 64)
    path = tmp_path / "audio.onnx"
    _write(tower, ones, path, ("input_features", {0: "batch"}), "audio_embeds")
    _compare(tower, path, [ones], lambda _: None)
    # Silence gives a vector without length, which no division makes one of length 1.
    with np.errstate(invalid="ignore"), pytest.raises(EncoderError, match="by nan, more than"):
        _compare(tower, path, [ones, silence], lambda _: None)
