"""The audio network of echoic-mini: a small residual network on log-mel features."""

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut; the first may halve both axes."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            pool = nn.AvgPool2d(stride, ceil_mode=True) if stride != 1 else nn.Identity()
            self.shortcut = nn.Sequential(
                pool,
                nn.Conv2d(channels_in, channels_out, 1, bias=False),
                nn.BatchNorm2d(channels_out),
            )
        nn.init.zeros_(self.second_norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.first_norm(self.first(x)))
        y = self.second_norm(self.second(y))
        return torch.relu(y + self.shortcut(x))


class AudioNetwork(nn.Module):
    """Log-mel (batch, 1, 128, frames) to two vectors: one for words, one for likeness.

    Parameters
    ----------
    word_dims, likeness_dims : int
        Lengths of the two vectors; neither is normalised here.
    widths : tuple of int
        Channels of the stem and of the stages after it.
    """

    def __init__(
        self,
        word_dims: int,
        likeness_dims: int,
        *,
        widths: tuple[int, ...] = (16, 32, 64, 128, 224),
        blocks: tuple[int, ...] = (1, 1, 2, 2),
    ) -> None:
        super().__init__()
        self.word_dims = word_dims
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 5, 2, 2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        stages: list[nn.Module] = []
        for before, after, count in zip(widths, widths[1:], blocks, strict=False):
            stages.append(Residual(before, after, stride=2))
            stages.extend(Residual(after, after, stride=1) for _ in range(count - 1))
        self.stages = nn.Sequential(*stages)
        hidden = 2 * widths[-1]
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU())
        self.words = nn.Linear(hidden, word_dims)
        self.likeness = nn.Linear(hidden, likeness_dims)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stages(self.stem(mel))
        # Mean over frequency first: what is left is one vector for every 0.16 s.
        x = x.mean(dim=2)
        x = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        x = self.head(x)
        return self.words(x), self.likeness(x)
