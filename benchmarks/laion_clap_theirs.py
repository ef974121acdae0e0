"""What `benchmarks.laion_clap` runs where the package laion-clap is installed.

``python -P laion_clap_theirs.py FOLDER HTSAT-tiny``: the folder is one that ``reference.py`` of
``tests/parity`` has filled, with the clips in ``clips``.
"""

import json
import os
import sys
import time
from pathlib import Path

import torch

PROJECT = Path(__file__).resolve().parent.parent
PHRASE = "rain on a tin roof, far thunder"


def main(folder: Path, amodel: str) -> None:
    """Time laion-clap's own path: files, librosa, torch."""
    sys.path.insert(0, str(PROJECT / "tests" / "parity"))
    from reference import import_torchvision

    os.chdir(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(1)
    import_torchvision()
    import laion_clap

    model = laion_clap.CLAP_Module(enable_fusion=False, device="cpu", amodel=amodel)
    model.load_ckpt(str(folder / "checkpoint.pt"), verbose=False)
    paths = [str(path) for path in sorted((folder / "clips").iterdir())]
    features_s = time_features(model.model.audio_branch)
    with torch.no_grad():
        began = time.process_time()
        model.get_audio_embedding_from_filelist(paths[:1])
        first_s = time.process_time() - began

        features_s.clear()
        began = time.process_time()
        for path in paths:
            model.get_audio_embedding_from_filelist([path])
        end_to_end_s = (time.process_time() - began) / len(paths)

        waves = [model_input(path) for path in paths]
        features_s.clear()
        began = time.process_time()
        for wave in waves:
            model.model.get_audio_embedding([wave])
        network_s = (time.process_time() - began - sum(features_s)) / len(paths)
        memory_mb = peak_mb()

        model.get_text_embedding([PHRASE])
        began = time.process_time()
        for _ in paths:
            model.get_text_embedding([PHRASE])
        phrase_s = (time.process_time() - began) / len(paths)
    found = {
        "first": first_s,
        "end_to_end": end_to_end_s,
        "network": network_s,
        "phrase": phrase_s,
        "memory_mb": memory_mb,
        "memory_with_text_mb": peak_mb(),
    }
    print(json.dumps(found))


def time_features(branch: torch.nn.Module) -> list[float]:
    """Note the CPU time of the spectrogram, which is part of this network."""
    spent: list[float] = []
    for part in (branch.spectrogram_extractor, branch.logmel_extractor):
        part.register_forward_pre_hook(lambda *_: spent.append(-time.process_time()))
        part.register_forward_hook(lambda *_: spent.append(time.process_time()))
    return spent


def model_input(path: str) -> dict[str, torch.Tensor]:
    """Read a clip of exactly one window as the model takes it."""
    import soundfile

    samples, _ = soundfile.read(path, dtype="float32")
    return {"longer": torch.tensor([False]), "waveform": torch.from_numpy(samples)}


def peak_mb() -> float:
    """Return the most memory that this program has had, in MB; on Linux alone."""
    # getrusage would tell of the process that started this one, too.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2])
