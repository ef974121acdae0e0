"""How near a network is to its teacher on the recordings kept out of training.

The figures to choose by. "Far" are the quarter of the watched recordings that resemble the training
recordings least (by the teacher's features): a hint of what happens to kinds of sounds that the
training holds little of.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from indexer.encoders.echoic_mini.mel import level, log_mel, mel_power
from training.augment import WINDOW
from training.data import Clip, load
from training.model import AudioNetwork
from training.teacher import Targets

PACKAGE = Path(__file__).resolve().parent.parent / "indexer" / "encoders" / "echoic_mini"
Array = NDArray[np.floating[Any]]


def watched_windows(
    audio: NDArray[np.int16], clips: list[Clip], heard: Path
) -> tuple[NDArray[np.float32], dict[str, NDArray[Any]]]:
    """Log-mel, teacher's outputs and owner of every window of the watched recordings."""
    with np.load(heard) as file:
        logits, pooled, owner = file["logits"], file["pooled"], file["owner"]
    mels, kept = [], []
    for number, clip in enumerate(clips):
        if not clip.watched:
            continue
        sound = audio[clip.start : clip.start + clip.length].astype(np.float32) / np.float32(32768)
        rows = np.flatnonzero(owner == number)
        # The same windows that `listen` took.
        for row, at in zip(
            rows, np.linspace(0, max(0, len(sound) - WINDOW), len(rows)).astype(int), strict=True
        ):
            window = np.resize(sound[at : at + WINDOW], WINDOW)
            mels.append(log_mel(mel_power(level(window))))
            kept.append(row)
    watched = np.array([clip.watched for clip in clips])
    trained = pooled[~watched[owner]]
    rest = pooled[kept]
    std = trained.std(axis=0) + 1e-3
    near = (
        unit((rest - trained.mean(axis=0)) / std) @ unit((trained - trained.mean(axis=0)) / std).T
    )
    return np.array(mels), {
        "logits": logits[kept],
        "pooled": rest,
        "owner": owner[kept],
        "nearness": near.max(axis=1),
    }


def unit(rows: Array) -> Array:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def figures(
    words: Array, likeness: Array, told: dict[str, Any], targets: Targets
) -> dict[str, Any]:
    """Cosines with the teacher, mean over recordings, of all and of the far ones.

    Parameters
    ----------
    words, likeness : ndarray, shape (n_windows, dims)
        What the network gives.
    told : dict
        The second result of `watched_windows`.
    targets : Targets
    """
    standard = (told["logits"] - targets.logit_mean) / targets.logit_std
    features = (told["pooled"] - targets.pooled_mean) / targets.pooled_std @ targets.likeness
    cosines = {
        "words": (unit(words) @ targets.words.T * unit(standard)).sum(axis=1),
        "likeness": (unit(likeness) * unit(features)).sum(axis=1),
    }
    owners = np.unique(told["owner"])
    nearness = np.array([told["nearness"][told["owner"] == o].mean() for o in owners])
    far = nearness <= np.quantile(nearness, 0.25)
    result = {}
    for name, cosine in cosines.items():
        by_clip = np.array([cosine[told["owner"] == o].mean() for o in owners])
        result[name] = round(float(by_clip.mean()), 4)
        result[f"{name}_far"] = round(float(by_clip[far].mean()), 4)
    # Does the network's strongest class stand among the teacher's first three?
    guessed = np.argmax(words @ targets.words.T, axis=1)
    first = np.argsort(-standard, axis=1)[:, :3]
    result["first_in_three"] = round(float((first == guessed[:, None]).any(axis=1).mean()), 4)
    return result


def zero_shot(words: Array, clips: list[Clip], told: dict[str, Any]) -> float:
    """Share of watched esc10 clips (fold 4) named rightly by the packaged text side."""
    from indexer.encoders.echoic_mini import EchoicMini

    labels = sorted({clip.label for clip in clips if clip.folder == "esc10"})
    text = EchoicMini().embed_text(labels)[:, : words.shape[1]]
    scores = unit(words) @ text.T
    rows = [row for row, owner in enumerate(told["owner"]) if clips[owner].folder == "esc10"]
    right = [labels[int(scores[row].argmax())] == clips[told["owner"][row]].label for row in rows]
    return round(float(np.mean(right)), 4)


@torch.no_grad()
def network_outputs(checkpoint: Path, mels: NDArray[np.float32]) -> tuple[Array, Array, int]:
    """Both vectors of the averaged network of a checkpoint for every mel, and its step."""
    state = torch.load(checkpoint, weights_only=True)
    averaged = state["averaged"]
    network = AudioNetwork(averaged["words.bias"].numel(), averaged["likeness.bias"].numel())
    network.load_state_dict(averaged)
    network.eval()
    parts = [network(part[:, None]) for part in torch.from_numpy(mels).split(16)]
    words, likeness = (torch.cat(half).numpy() for half in zip(*parts, strict=True))
    return words, likeness, int(state["step"])


def graph_outputs(path: Path, mels: NDArray[np.float32], word_dims: int) -> tuple[Array, Array]:
    """Both halves of the vector of an exported graph for every mel."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options)
    vectors = np.concatenate([session.run(["vector"], {"mel": m[None, None]})[0] for m in mels])
    return vectors[:, :word_dims], vectors[:, word_dims:]


def main() -> None:
    """Print the figures of a checkpoint, or of an exported graph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    parser.add_argument("--graph", type=Path, help="an exported graph instead of the checkpoint")
    options = parser.parse_args()
    torch.set_num_threads(1)
    audio, clips = load(options.work)
    mels, told = watched_windows(audio, clips, options.work / "heard.npz")
    targets = Targets.load(options.work / "targets.npz")
    if options.graph:
        name = str(options.graph)
        words, likeness = graph_outputs(options.graph, mels, targets.words.shape[1])
    else:
        words, likeness, step = network_outputs(options.work / "checkpoint.pt", mels)
        name = f"step {step}"
    result = figures(words, likeness, told, targets)
    print(name, result | {"zero_shot": zero_shot(words, clips, told)}, flush=True)


if __name__ == "__main__":
    main()
