"""How fast an archive is indexed, and which stage takes the time.

    python -m benchmarks.indexing [--folder FOLDER] [--minutes M] [--workers N]

Without a folder an archive is made: M minutes of tones in noise as WAV, FLAC and OGG at 44.1 and
48 kHz. It is indexed by the real command; the share of each stage is the CPU time that the workers
and the writer report. The encoder's time is then divided into mel features and network by running
both alone on the same number of windows.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", type=Path, help="an archive; by default one is made")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or make_archive(Path(name) / "archive", arguments.minutes)
        finished = index(folder, Path(name) / "catalogue", arguments.workers)
        again = index(folder, Path(name) / "catalogue", arguments.workers)
    finished["second_run_s"] = again["elapsed_s"]
    finished["mel_share_of_embedding"] = mel_share()
    report(finished)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "indexing.json").write_text(json.dumps(finished, indent=2))


def make_archive(folder: Path, minutes: float) -> Path:
    """Write recordings of 5 s to 5 min, `minutes` in all."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    left_s, number = minutes * 60, 0
    while left_s > 0:
        length_s = min(float(np.exp(rng.uniform(np.log(5), np.log(300)))), left_s + 1)
        sr = int(rng.choice([44_100, 48_000]))
        time_s = np.arange(round(length_s * sr)) / sr
        tone = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 4000) * time_s)
        noise = 0.05 * rng.standard_normal((len(time_s), 2))
        suffix = ("wav", "flac", "ogg")[number % 3]
        sound = (tone[:, None] + noise).astype(np.float32)
        with soundfile.SoundFile(folder / f"{number:04}.{suffix}", "w", sr, 2) as file:
            for start in range(
                0, len(sound), sr
            ):  # libsndfile crashes on minutes of Vorbis at once
                file.write(sound[start : start + sr])
        left_s, number = left_s - length_s, number + 1
    return folder


def index(folder: Path, catalogue: Path, n_workers: int) -> dict[str, Any]:
    """Run ``echoic index`` and return what it reports at its end."""
    command = [sys.executable, "-m", "ui", "index", str(folder), "--json"]
    ran = subprocess.run(
        [*command, "--catalogue", str(catalogue), "--workers", str(n_workers)],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode not in (0, 1):
        raise SystemExit(ran.stderr)
    finished: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return finished


def mel_share() -> float:
    """Return how much of the time to embed a window goes into its mel features."""
    from indexer.encoders.echoic_mini import EchoicMini
    from indexer.encoders.echoic_mini.mel import level, log_mel, mel_power

    encoder = EchoicMini()
    n_samples = round(encoder.window_s * encoder.sample_rate)
    windows = np.random.default_rng(2).standard_normal((50, n_samples)).astype(np.float32) * 0.1
    encoder.embed_audio(windows[:2])
    began = time.process_time()
    encoder.embed_audio(windows)
    whole = time.process_time() - began
    began = time.process_time()
    for window in windows:
        log_mel(mel_power(level(window)))
    return (time.process_time() - began) / whole


def report(finished: dict[str, Any]) -> None:
    """Print the figures as a table."""
    stages = dict(finished["cpu_s"])
    total = sum(stages.values())
    embed = sum(seconds for stage, seconds in stages.items() if stage.startswith("embed"))
    rows = {
        "read and hash": stages.get("read", 0.0),
        "tags": stages.get("metadata", 0.0),
        "decode": stages.get("decode", 0.0),
        "resample, mel": embed * finished["mel_share_of_embedding"],
        "network": embed * (1 - finished["mel_share_of_embedding"]),
        "descriptors": stages.get("describe", 0.0),
        "store": stages.get("store", 0.0),
    }
    audio_s, elapsed_s = finished["audio_s"], finished["elapsed_s"]
    print(f"{finished['found']} files, {audio_s / 3600:.2f} h of audio, in {elapsed_s:.1f} s:")
    print(f"{audio_s / elapsed_s:.0f} times real time; {audio_s / total:.0f} per core.")
    print(f"Second run: {finished['second_run_s']:.2f} s.\n")
    print("| stage | CPU s per hour of audio | share |\n|---|---|---|")
    for stage, seconds in rows.items():
        print(f"| {stage} | {seconds / audio_s * 3600:.2f} | {100 * seconds / total:.0f} % |")


if __name__ == "__main__":
    main()
