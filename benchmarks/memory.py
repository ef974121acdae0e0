"""How much memory a very long recording needs.

    python -m benchmarks.memory [--hours H] [--format wav|flac]

A recording of H hours (ten by default, 44.1 kHz stereo) is generated on disk and indexed by the
real command with one worker, once with a minute and once with all of it; what is printed is the
peak of the largest process. The difference is what length costs.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

RESULTS = Path(__file__).parent / "results"
SR = 44_100


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--hours", type=float, default=10.0)
    parser.add_argument("--format", choices=["wav", "flac"], default="flac")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for length_s in (60.0, arguments.hours * 3600):
            path = Path(name) / f"{length_s:.0f}.{arguments.format}"
            write_recording(path, length_s)
            size_mb = path.stat().st_size / 1e6
            # Children only ever raise the maximum, so the short one comes first.
            peak_mb, elapsed_s = index(path, Path(name) / "catalogue")
            rows.append({"length_s": length_s, "peak_mb": peak_mb, "elapsed_s": elapsed_s})
            print(f"{length_s / 3600:7.3f} h, {size_mb:7.0f} MB on disk: peak {peak_mb:5.0f} MB, "
                  f"{elapsed_s:.0f} s")  # fmt: skip
            path.unlink()
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "memory.json").write_text(json.dumps(rows, indent=2))


def write_recording(path: Path, length_s: float) -> None:
    """Write noise of changing level, minute by minute; never more than a minute in memory."""
    rng = np.random.default_rng(3)
    minute = rng.standard_normal((60 * SR, 2)).astype(np.float32)
    left = round(length_s * SR)
    with soundfile.SoundFile(
        path, "w", SR, 2, subtype="PCM_16", format="RF64" if path.suffix == ".wav" else None
    ) as file:
        while left > 0:
            n_frames = min(left, len(minute))
            file.write(minute[:n_frames] * np.float32(rng.uniform(0.01, 0.1)))
            left -= n_frames


def index(path: Path, catalogue: Path) -> tuple[float, float]:
    """Index one file; return the peak memory of the largest process in MB, and the time."""
    command = [sys.executable, "-m", "ui", "index", str(path), "--json", "--workers", "1"]
    ran = subprocess.run(
        [*command, "--catalogue", str(catalogue)], capture_output=True, text=True, check=False
    )
    if ran.returncode != 0:
        raise SystemExit(ran.stdout + ran.stderr)
    finished = json.loads(ran.stdout.splitlines()[-1])
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    return peak_mb, finished["elapsed_s"]


if __name__ == "__main__":
    main()
