"""Training can go on from the published weights."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from indexer.encoders.echoic_mini.audio import AudioTower
from indexer.encoders.echoic_mini.mel import SAMPLE_RATE, level, log_mel, mel_power
from training.synthesis import invent

torch = pytest.importorskip("torch", reason="needs the extra `training`")
pytest.importorskip("onnx", reason="needs the extra `training`")

torch.set_num_threads(1)
GRAPH = Path(str(files("indexer.encoders.echoic_mini"))) / "audio.onnx"


def test_a_warm_start_gives_the_vectors_of_the_exported_graph() -> None:
    from training.model import AudioNetwork
    from training.warm import exported_weights, warm_start

    sounds = [invent(np.random.default_rng(n)).astype(np.float32) for n in range(12)]
    mels = torch.from_numpy(np.stack([log_mel(mel_power(level(s))) for s in sounds]))[:, None]
    weights = exported_weights(GRAPH)
    network = AudioNetwork(len(weights["words.bias"]), len(weights["likeness.bias"]))
    warm_start(network, GRAPH, mels)
    tower = AudioTower(GRAPH.read_bytes())
    published = np.stack([tower.embed(sound) for sound in sounds])

    network.eval()
    with torch.no_grad():
        given = [half.numpy() for half in network(mels)]
    joined = np.concatenate(
        [half / np.linalg.norm(half, axis=1, keepdims=True) for half in given], 1
    )
    cosines = (joined * published).sum(axis=1) / np.linalg.norm(joined, axis=1)
    assert cosines.min() > 0.9999

    network.train()
    with torch.no_grad():
        learning = network(mels)[0].numpy()
    # On the examples that gave the statistics, a training step sees the same function.
    assert np.corrcoef(learning.ravel(), given[0].ravel())[0, 1] > 0.99


def test_the_weights_of_another_network_are_refused() -> None:
    from training.model import AudioNetwork
    from training.warm import warm_start

    mels = torch.zeros(2, 1, 128, 1 + 2 * SAMPLE_RATE // 320)
    with pytest.raises((RuntimeError, ValueError)):
        warm_start(AudioNetwork(16, 16), GRAPH, mels)


def test_the_first_steps_hear_half_windows() -> None:
    from training.distil import Schedule

    schedule = Schedule(steps=10, decay_steps=4, short_steps=3, batch=8)
    lengths = [schedule.length(number) for number in (0, 23, 24, 79)]
    assert lengths == [80_000, 80_000, 160_000, 160_000]
    assert schedule.rate(10) == 0.0
