"""LAION-CLAP through Echoic beside the package laion-clap: speed and memory.

    make parity-venvs
    .venv-clap/bin/python -m benchmarks.laion_clap [--clips N] [--architecture HTSAT-base]

The real architecture with random weights: a checkpoint is made by laion-clap, converted by `echoic
models convert`, and quantised. Then each takes its turn, three times, in a process of its own and
on one thread: fp32, int8, and laion-clap's own path from files (librosa, torch). Times are CPU
times, the least of the three; the clips are 10 s long, 48 kHz, 16 bits, and given one at a time.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RESULTS = Path(__file__).parent / "results"
PROJECT = Path(__file__).resolve().parent.parent
REFERENCE = PROJECT / "tests" / "parity" / "reference.py"
THEIRS = Path(__file__).with_name("laion_clap_theirs.py")
CLIP_S = 10.0
SR = 48_000
ROUNDS = 3
PHRASE = "rain on a tin roof, far thunder"
TIMES = ("network", "end_to_end", "phrase")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--architecture", default="HTSAT-tiny")
    parser.add_argument("--laion-clap-python", default=PROJECT / ".venv-laion-clap/bin/python")
    parser.add_argument("--reference", type=Path, default=PROJECT.parent / "shared/clap-reference")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(*map(Path, json.loads(arguments.child)))))
        return
    theirs = str(arguments.laion_clap_python)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [arguments.reference / "tokenizer.json", arguments.reference / "sample.wav"]
        call([theirs, REFERENCE, folder, arguments.architecture, *files])
        packages = make_packages(folder, files[0])
        write_clips(folder / "clips", arguments.clips)
        rows: dict[str, dict[str, float]] = {}
        for _ in range(ROUNDS):
            for label, package in packages.items():
                given = json.dumps([str(package), str(folder / "clips")])
                keep(rows, label, [sys.executable, "-m", "benchmarks.laion_clap", "--child", given])
            # -P: this file must not be taken for the package of its name.
            keep(rows, "laion-clap", [theirs, "-P", THEIRS, folder, arguments.architecture])
    report(rows)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"laion_clap_{arguments.architecture}.json"
    path.write_text(json.dumps({"rows": rows, "load": os.getloadavg()}, indent=2))


def make_packages(folder: Path, tokenizer: Path) -> dict[str, Path]:
    """Convert the checkpoint, and quantise what comes of it as the published towers are."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from indexer.encoders.conversion.converting import convert
    from indexer.encoders.packages import write_package

    os.environ["ECHOIC_MODELS"] = str(folder / "models")
    fp32 = convert(
        folder / "checkpoint.pt", tokenizer=tokenizer, tell=print, progress=lambda *_: None
    )

    def fill(place: Path) -> None:
        shutil.copyfile(tokenizer, place / "tokenizer.json")
        for tower in ("audio.onnx", "text.onnx"):
            quantize_dynamic(
                fp32.folder / tower,
                place / tower,
                op_types_to_quantize=["MatMul", "Gather"],
                weight_type=QuantType.QInt8,
            )

    int8 = write_package(
        f"{fp32.id}-int8", fill, licence="none", source=fp32.source, precision="int8"
    )
    return {"Echoic, fp32": fp32.folder, "Echoic, int8": int8.folder}


def write_clips(folder: Path, n_clips: int) -> None:
    """Write tones in noise."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    time_s = np.arange(round(CLIP_S * SR)) / SR
    for number in range(n_clips):
        tone = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 4000) * time_s)
        sound = tone + 0.05 * rng.standard_normal(len(time_s))
        soundfile.write(folder / f"{number:03}.wav", sound, SR, subtype="PCM_16")


def measure(package: Path, clips: Path) -> dict[str, float]:
    """Time one package; in a process of its own."""
    from indexer.encoders.laion_clap import LaionClap
    from indexer.encoders.laion_clap.mel import log_mel
    from indexer.encoders.packages import read_package
    from indexer.mono import read_mono

    encoder = LaionClap(read_package(package))
    paths = sorted(clips.iterdir())
    began = time.process_time()
    encoder.embed_audio(encoder.pad(read_mono(paths[0], SR))[None])
    first_s = time.process_time() - began

    began = time.process_time()
    for path in paths:
        encoder.embed_audio(encoder.pad(read_mono(path, SR))[None])
    end_to_end_s = (time.process_time() - began) / len(paths)

    features = [log_mel(encoder.pad(read_mono(path, SR)))[None, None] for path in paths]
    began = time.process_time()
    for feature in features:
        encoder._audio.embed(feature)
    network_s = (time.process_time() - began) / len(paths)
    memory_mb = peak_mb()

    encoder.embed_text([PHRASE])
    began = time.process_time()
    encoder.embed_text([PHRASE] * len(paths))
    phrase_s = (time.process_time() - began) / len(paths)
    return {
        "first": first_s,
        "end_to_end": end_to_end_s,
        "network": network_s,
        "phrase": phrase_s,
        "memory_mb": memory_mb,
        "memory_with_text_mb": peak_mb(),
    }


def peak_mb() -> float:
    """Return the most memory that this program has had, in MB; on Linux alone."""
    # getrusage would tell of the process that started this one, too.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def keep(rows: dict[str, dict[str, float]], label: str, command: list[Any]) -> None:
    """Run a process that measures; of each figure the least is kept."""
    found = json.loads(call(command).splitlines()[-1])
    row = rows.setdefault(label, found)
    for key, value in found.items():
        row[key] = min(row[key], value)


def call(command: list[Any]) -> str:
    """Run a command and return what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, env=environment
    )
    if ran.returncode != 0:
        raise SystemExit(ran.stdout + ran.stderr)
    return ran.stdout


def report(rows: dict[str, dict[str, float]]) -> None:
    """Print the table of ``docs/laion-clap.md``."""
    print("| | network, ms | wav to vector, ms | times real time | phrase, ms | memory, MB "
          "| with text, MB |\n|---|---:|---:|---:|---:|---:|---:|")  # fmt: skip
    for label, row in rows.items():
        network, end_to_end, phrase = (row[key] * 1000 for key in TIMES)
        print(
            f"| {label} | {network:.0f} | {end_to_end:.0f} | {CLIP_S / row['end_to_end']:.0f} | "
            f"{phrase:.0f} | {row['memory_mb']:.0f} | {row['memory_with_text_mb']:.0f} |"
        )
    print(f"\nload average: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")


if __name__ == "__main__":
    main()
