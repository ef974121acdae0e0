"""The teacher of the text side: which of the 527 classes does a phrase mean?

A sentence encoder knows which phrases resemble each other, but not what they sound like: to it
"cow" is nearest to cowbells. Some 4,800 phrases written by hand, each with the classes it means,
bend its space until phrases lie at the classes that would be heard.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

SEED = 20261123
TEMPERATURE = 0.05
SENTENCE_DIMS = 384
HIDDEN_DIMS = 512
STEPS = 250
BATCH = 512
RATE = 2e-3
PLACES_RATE = 0.05
# In each of the 384 numbers: as long as the sentence vector itself.
NOISE = 0.05
Array = NDArray[np.float32]


class Meaning(nn.Module):
    """Sentence vectors to a sphere on which every class has its place.

    Parameters
    ----------
    places : Tensor, shape (n_classes, 384)
        Where the classes lie at first.
    """

    def __init__(self, places: Tensor) -> None:
        super().__init__()
        self.first = nn.Linear(SENTENCE_DIMS, HIDDEN_DIMS)
        self.second = nn.Linear(HIDDEN_DIMS, SENTENCE_DIMS)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)
        self.places = nn.Parameter(places.clone())

    def forward(self, vectors: Tensor) -> Tensor:
        """Unit vectors of the same shape (n, 384)."""
        moved = self.second(F.gelu(self.first(8.0 * vectors)))
        return F.normalize(vectors + moved, dim=1)

    def log_shares(self, points: Tensor) -> Tensor:
        """Logarithms of the shares (n, n_classes) that points of the sphere mean."""
        return F.log_softmax(points @ self.places.T / TEMPERATURE, dim=1)


def fit(*, names: Array, described: Array, vectors: Array, shares: Array) -> Meaning:
    """Bend the space of a sentence encoder by phrases of known meaning.

    Parameters
    ----------
    names, described : ndarray, shape (n_classes, 384)
        Sentence vectors of the names, and of names with descriptions.
    vectors : ndarray, shape (n_phrases, 384)
    shares : ndarray, shape (n_phrases, n_classes)
    """
    torch.manual_seed(SEED)
    classes = np.eye(len(names), dtype=np.float32)
    middle = shares.T @ vectors + 1.4 * (names + described)
    meaning = Meaning(F.normalize(torch.from_numpy(middle), dim=1))
    known = torch.from_numpy(np.concatenate([vectors, names, described]))
    meant = torch.from_numpy(np.concatenate([shares, classes, classes]))
    moving = [*meaning.first.parameters(), *meaning.second.parameters()]
    groups = [{"params": moving}, {"params": [meaning.places], "lr": RATE * PLACES_RATE}]
    optimiser = torch.optim.Adam(groups, lr=RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, STEPS)
    for _ in range(STEPS):
        drawn = torch.randint(len(known), (BATCH,))
        moved = F.normalize(known[drawn] + NOISE * torch.randn(BATCH, SENTENCE_DIMS), dim=1)
        loss = -(meant[drawn] * meaning.log_shares(meaning(moved))).sum(dim=1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    return meaning.requires_grad_(False)
