"""Go on from published weights: an exported graph back to a network that can be trained.

Export folds every normalisation into the convolution before it. Here each gets a new one, with the
mean and variance that the convolution shows on real examples, and with the scale and shift that
leave the function as it was. So training continues where the exported weights stopped, although
the checkpoint is gone.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from training.model import AudioNetwork, Residual

PREFIX = "network."
# A normalised filter works the same at every length, but the length says how far a step of the
# optimiser turns it. This is about how long filters become from their start in some thousand steps.
GROWN_RMS = 0.055


def exported_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Weights of an exported graph by their names in `AudioNetwork`.

    Parameters
    ----------
    path : Path
        What `export.write_onnx` wrote.
    """
    weights = {}
    for tensor in onnx.load(str(path)).graph.initializer:
        if tensor.name.startswith(PREFIX):
            name = tensor.name.removeprefix(PREFIX).removesuffix("_half")
            weights[name] = numpy_helper.to_array(tensor).astype(np.float32)
    return weights


def pairs(network: AudioNetwork) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
    """Every convolution with its name and the normalisation after it."""
    found = [("stem.0", network.stem[0], network.stem[1])]
    for number, block in enumerate(network.stages):
        if not isinstance(block, Residual):
            raise TypeError(f"a stage of another kind: {type(block).__name__}")
        stage = f"stages.{number}"
        found.append((f"{stage}.first", block.first, block.first_norm))
        found.append((f"{stage}.second", block.second, block.second_norm))
        if isinstance(block.shortcut, nn.Sequential):
            found.append((f"{stage}.shortcut.1", block.shortcut[1], block.shortcut[2]))
    return found


@torch.no_grad()
def warm_start(network: AudioNetwork, path: Path, mels: Tensor) -> None:
    """Give `network` the function of an exported graph, its normalisations alive again.

    Parameters
    ----------
    network : AudioNetwork
        Of the same widths; changed in place and left in training mode.
    path : Path
        The exported graph.
    mels : Tensor, shape (n, 1, 128, frames)
        Some hundred training examples; they give the statistics.
    """
    weights = exported_weights(path)
    convolutions = pairs(network)
    for name, convolution, norm in convolutions:
        convolution.weight.copy_(torch.from_numpy(weights.pop(f"{name}.weight")))
        # Pass through, up to the shift, while the statistics are measured.
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0 - norm.eps)
        norm.weight.fill_(1.0)
        norm.bias.copy_(torch.from_numpy(weights.pop(f"{name}.bias")))
    rest = {name: torch.from_numpy(value) for name, value in weights.items()}
    unknown = network.load_state_dict(rest, strict=False).unexpected_keys
    if unknown:
        raise ValueError(f"{path} holds weights of another network: {', '.join(unknown)}")
    statistics = _statistics(network, [convolution for _, convolution, _ in convolutions], mels)
    for (_, convolution, norm), (mean, variance) in zip(convolutions, statistics, strict=True):
        fan_in = convolution.weight[0].numel()
        wanted = (1.0 / (3.0 * fan_in) + GROWN_RMS**2) ** 0.5
        rms = convolution.weight.square().mean(dim=(1, 2, 3)).sqrt().clamp_min(1e-8)
        gain = wanted / rms
        convolution.weight.mul_(gain[:, None, None, None])
        norm.running_mean.copy_(gain * mean)
        norm.running_var.copy_(gain.square() * variance)
        norm.bias.add_(mean)
        norm.weight.copy_((norm.running_var + norm.eps).sqrt() / gain)


def _statistics(
    network: AudioNetwork, convolutions: list[nn.Conv2d], mels: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance of every channel that each convolution gives, in evaluation order."""
    sums = [torch.zeros(2, c.out_channels, dtype=torch.float64) for c in convolutions]
    counts = [0] * len(convolutions)

    def watch(number: int) -> object:
        def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
            wide = output.double()
            sums[number] += torch.stack([wide.sum(dim=(0, 2, 3)), wide.square().sum(dim=(0, 2, 3))])
            counts[number] += output.numel() // output.shape[1]

        return convolutions[number].register_forward_hook(hook)

    hooks = [watch(number) for number in range(len(convolutions))]
    network.eval()
    for part in mels.split(16):
        network(part)
    network.train()
    for hook in hooks:
        hook.remove()
    result = []
    for total, count in zip(sums, counts, strict=True):
        mean = total[0] / count
        variance = (total[1] / count - mean.square()).clamp_min(1e-10)
        result.append((mean.float(), variance.float()))
    return result
