"""The packaged encoder: whole, repeatable, and right about real sounds."""

import csv
import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr

from indexer.encoders.echoic_mini import EchoicMini
from indexer.encoders.echoic_mini.text import TextTower, tokens, words_of
from indexer.errors import EncoderError
from tests.indexer.encoders.signals import CANONICAL, PHRASE, swept_tone

PACKAGE = Path(str(files("indexer.encoders.echoic_mini")))
MODEL_FILES = ("model.json", "audio.onnx", "text.npz", "background.npy")
PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def encoder() -> EchoicMini:
    return EchoicMini()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in MODEL_FILES:
        shutil.copy(PACKAGE / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(EncoderError, match=name):
        EchoicMini(copied)


@pytest.mark.parametrize("name", MODEL_FILES[1:])
def test_one_changed_byte_is_noticed(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(EncoderError, match=f"{name} are damaged"):
        EchoicMini(copied)


def test_a_description_that_is_not_json_is_an_error(copied: Path) -> None:
    (copied / "model.json").write_text("{", "utf-8")
    with pytest.raises(EncoderError, match=r"model\.json"):
        EchoicMini(copied)


def test_vectors_are_those_on_record(encoder: EchoicMini) -> None:
    record = json.loads(CANONICAL.read_text("utf-8"))
    assert record["id"] == encoder.id
    sound = encoder.embed_audio(swept_tone()[None])[0]
    np.testing.assert_allclose(sound, record["sound"], atol=1e-3)
    np.testing.assert_allclose(encoder.embed_text([PHRASE])[0], record["phrase"], atol=1e-3)


def _run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_another_number_of_threads_gives_the_same_bits() -> None:
    code = (
        "import hashlib\n"
        "from indexer.encoders.echoic_mini import EchoicMini\n"
        "from tests.indexer.encoders.signals import swept_tone\n"
        "vector = EchoicMini().embed_audio(swept_tone()[None])\n"
        "print(hashlib.sha256(vector.tobytes()).hexdigest())"
    )
    one, four = (_run(code, OMP_NUM_THREADS=n, OPENBLAS_NUM_THREADS=n) for n in ("1", "4"))
    assert one == four


def test_importing_the_package_loads_no_runtime() -> None:
    code = "import sys, indexer.encoders.echoic_mini\nprint(*sys.modules)"
    loaded = set(_run(code).split())
    assert not loaded & {"onnxruntime", "scipy"}


def test_the_level_of_a_recording_hardly_matters(encoder: EchoicMini) -> None:
    sound = swept_tone()
    loud, quiet = encoder.embed_audio(np.stack([sound, sound * np.float32(0.03)]))
    assert loud @ quiet > 0.9999


def test_samples_that_are_not_numbers_are_refused(encoder: EchoicMini) -> None:
    broken = swept_tone()[None].copy()
    broken[0, 5] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        encoder.embed_audio(broken)


def test_the_two_halves_of_a_sound_weigh_the_same(encoder: EchoicMini) -> None:
    vector = encoder.embed_audio(swept_tone()[None])[0]
    words = int(np.count_nonzero(encoder.embed_text(["rain"])[0]))
    assert 0 < words < encoder.dim
    assert np.sum(np.square(vector[:words])) == pytest.approx(0.5, abs=1e-4)


def test_the_background_holds_sounds_of_many_kinds(encoder: EchoicMini) -> None:
    background = encoder.calibration.background
    assert background.dtype == np.float32
    assert background.shape[0] >= 256
    assert background.shape[1] == encoder.dim
    np.testing.assert_allclose(np.linalg.norm(background, axis=1), 1.0, atol=1e-5)
    likeness = background @ background.T
    # Sounds in general: few are alike, so that a query can stand out.
    assert np.median(likeness) < 0.3
    assert np.median(np.sort(likeness, axis=1)[:, -2]) < 0.95


def test_a_click_is_repeated_with_pauses_and_a_longer_sound_end_to_end(
    encoder: EchoicMini,
) -> None:
    click = np.ones(1_600, np.float32)
    begins = np.flatnonzero(np.diff(encoder.pad(click), prepend=np.float32(0)) > 0)
    assert begins.tolist() == [0, 53_334, 106_668]
    longer = np.arange(1, 64_001, dtype=np.float32)
    np.testing.assert_array_equal(encoder.pad(longer)[64_000:128_000], longer)


def test_words_are_read_without_case_and_signs() -> None:
    assert words_of("Dog's BARK, rain-drops_2") == ["dogs", "bark", "rain", "drops", "2"]


def test_rows_of_a_word_never_change() -> None:
    # CRC-32 of known strings: another hash would silently turn every phrase into noise.
    dog, _, pair = tokens(["dog", "bark"])
    assert dog == [14717, 37790, 38796, 44568, 46532, 47210, 47485]
    assert pair == [24825]


# Numbers of AudioSet classes: 23 baby cry, 49 sneeze, 74 dog, 75 bark, 76 yip, 80 whimper (dog),
# 90 cattle, 91 moo, 99 chicken, rooster, 101 crowing, 287 thunder, 289 rain, 295 waves, surf,
# 298 fire, 299 crackle, 339 helicopter, 347 chainsaw, 384 typing, 386 computer keyboard,
# 406 clock, 407 tick, 408 tick-tock.
@pytest.mark.parametrize(
    ("phrase", "wanted"),
    [
        ("crying baby", {23}),
        ("Infant wailing", {23}),
        ("dog barking", {74, 75}),
        ("pup yapping", {74, 75, 76, 80}),
        ("rain", {289}),
        ("sea waves", {295}),
        ("waves on a beach", {295}),
        ("clock ticking", {406, 407, 408}),
        ("person sneezing", {49}),
        ("helicopter", {339}),
        ("helicoptre", {339}),
        ("CHAINSAWS", {347}),
        ("rooster", {99, 101}),
        ("crackling fire", {298, 299}),
        ("somebody types on a keyboard", {384, 386}),
        ("thunderclap", {287}),
        ("cow", {91, 90}),
    ],
)
def test_phrases_mean_their_class(phrase: str, wanted: set[int]) -> None:
    tower = TextTower((PACKAGE / "text.npz").read_bytes())
    assert int(np.argmax(tower.shares(phrase))) in wanted


def test_class_names_find_their_class_among_real_recordings(
    encoder: EchoicMini, real_audio: Path
) -> None:
    folder = real_audio / "esc10"
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["fold"] == "5"]
    windows = []
    for row in rows:
        samples, rate = sf.read(folder / row["path"], dtype="float32")
        samples = soxr.resample(samples, rate, encoder.sample_rate)[: 5 * encoder.sample_rate]
        windows.append(encoder.pad(samples.astype(np.float32)))
    names = sorted({row["label"] for row in rows})
    labels = np.array([row["label"] for row in rows])
    scores = encoder.embed_text(names) @ encoder.embed_audio(np.stack(windows)).T
    precision = []
    for name, ranking in zip(names, np.argsort(-scores, axis=1), strict=True):
        hits = labels[ranking] == name
        precision.append((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
    # Chance is 0.16.
    assert np.mean(precision) > 0.75
