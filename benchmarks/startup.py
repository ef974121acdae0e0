"""How long ``echoic --help`` and a first search take, from a cold process.

    python -m benchmarks.startup [--runs N]

Beside them, in the same run, what Python itself takes to start and to import NumPy.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        sound = Path(name) / "sound.wav"
        noise = np.random.default_rng(4).standard_normal(48_000).astype(np.float32) * 0.1
        soundfile.write(sound, noise, 48_000)
        place = ["--catalogue", str(Path(name) / "catalogue")]
        echoic = [sys.executable, "-m", "ui"]
        subprocess.run([*echoic, "index", str(sound), *place], check=True, capture_output=True)
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
            "echoic --help": [*echoic, "--help"],
            "echoic status": [*echoic, "status", *place],
            "echoic search rain": [*echoic, "search", "rain", *place],
        }
        print("| command | median ms | fastest ms |\n|---|---|---|")
        for label, command in commands.items():
            times = [timed(command) for _ in range(runs)]
            print(f"| `{label}` | {statistics.median(times):.0f} | {min(times):.0f} |")


def timed(command: list[str]) -> float:
    """Return the milliseconds that a command takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return 1000 * (time.perf_counter() - began)


if __name__ == "__main__":
    main()
