"""Train the audio network to hear what the teacher hears.

Every batch is made afresh: windows by `Augmenter`, targets by the teacher on the same windows.
Sample numbers, not workers, carry the randomness, so the data are the same on every run; the
state is saved often and an interrupted run goes on where it stopped.
"""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from torch.utils.data import DataLoader, Dataset, Sampler

from training.augment import WINDOW, Augmenter, Pool, load_rooms
from training.data import RECORDED, SYNTHETIC, load
from training.model import AudioNetwork
from training.teacher import Targets, Teacher, clip_weights
from training.warm import warm_start

SEED = 20261121
EMA_DECAY = 0.998
WARM_UP_STEPS = 150
WARM_EXAMPLES = 384
SYNTHETIC_SHARE = 0.25


@dataclass(frozen=True)
class Schedule:
    """How long to train, and how fast.

    The rate stays constant and then falls in a straight line, so that the end can be moved while a
    run is under way without changing what came before. The first steps hear half windows: the
    network pools over time, so they teach it the same at half the price.
    """

    steps: int
    decay_steps: int
    short_steps: int = 0
    batch: int = 32
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    save_every_s: float = 180.0

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        rising = (step + 1) / WARM_UP_STEPS
        falling = (self.steps - step) / self.decay_steps
        return self.learning_rate * min(1.0, rising, falling)

    def length(self, number: int) -> int:
        """Samples of the window that sample `number` is."""
        return WINDOW // 2 if number < self.short_steps * self.batch else WINDOW


class Examples(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Sample number -> log-mel, teacher's logits, teacher's pooled features."""

    def __init__(self, augmenter: Augmenter, teacher_folder: Path, schedule: Schedule) -> None:
        self._augmenter = augmenter
        self._schedule = schedule
        self._folder = teacher_folder
        self._teacher: Teacher | None = None

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor, Tensor]:
        if self._teacher is None:  # a session does not survive the fork of a worker
            self._teacher = Teacher(self._folder)
        mel = self._augmenter.mel(number, length=self._schedule.length(number))
        logits, pooled = self._teacher(mel)
        return torch.from_numpy(mel[None]), torch.from_numpy(logits), torch.from_numpy(pooled)


class Numbers(Sampler[int]):
    """Sample numbers in order, from where the last run stopped."""

    def __init__(self, first: int, stop: int) -> None:
        self._range = range(first, stop)

    def __iter__(self) -> Iterator[int]:
        return iter(self._range)

    def __len__(self) -> int:
        return len(self._range)


class Distillation(nn.Module):
    """The losses: what is present, how strongly every class responds, what it resembles."""

    def __init__(self, targets: Targets) -> None:
        super().__init__()
        for name in Targets.__dataclass_fields__:
            self.register_buffer(name, torch.from_numpy(getattr(targets, name)))

    def forward(
        self, words: Tensor, likeness: Tensor, logits: Tensor, pooled: Tensor
    ) -> dict[str, Tensor]:
        standard = (logits - self.logit_mean) / self.logit_std
        features = (pooled - self.pooled_mean) / self.pooled_std @ self.likeness
        guessed = words @ self.words.T
        guessed_logits = self.logit_mean + self.logit_std * guessed
        presence = F.binary_cross_entropy_with_logits(
            guessed_logits, torch.sigmoid(logits), reduction="none"
        )
        return {
            "presence": 0.3 * presence.sum(dim=1).mean(),
            "response": 2.0 * F.smooth_l1_loss(guessed, standard),
            "likeness": (likeness - features).square().sum(dim=1).mean() / pooled.shape[1],
            # What is searched is the direction of each half.
            "direction": 1.0 - 0.5 * (alike(guessed, standard) + alike(likeness, features)),
        }


def alike(first: Tensor, second: Tensor) -> Tensor:
    """Mean cosine of the angle between the rows of two matrices."""
    return F.cosine_similarity(first, second).mean()


class Run:
    """The state of a training run: what a checkpoint holds.

    Parameters
    ----------
    targets : Targets
    schedule : Schedule
    checkpoint : Path
        Read if it exists.
    start : callable, optional
        Gives a new network its first weights; not called if the checkpoint exists.
    """

    def __init__(
        self,
        targets: Targets,
        schedule: Schedule,
        checkpoint: Path,
        start: Callable[[AudioNetwork], None] | None = None,
    ) -> None:
        torch.manual_seed(SEED)
        dims = (targets.words.shape[1], targets.likeness.shape[1])
        self._network = AudioNetwork(*dims).to(memory_format=torch.channels_last)
        if start is not None and not checkpoint.exists():
            start(self._network)
        self._averaged = copy.deepcopy(self._network)
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), weight_decay=schedule.weight_decay
        )
        self._losses = Distillation(targets)
        self._schedule = schedule
        self._path = checkpoint
        self.step = 0
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            self._network.load_state_dict(state["network"])
            self._averaged.load_state_dict(state["averaged"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]

    def advance(self, mel: Tensor, logits: Tensor, pooled: Tensor) -> dict[str, float]:
        """Take one step on a batch; return the losses."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._schedule.rate(self.step)
        with torch.autocast("cpu", torch.bfloat16):
            words, likeness = self._network(mel.to(memory_format=torch.channels_last))
        parts = self._losses(words.float(), likeness.float(), logits, pooled)
        self._optimiser.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
        self._optimiser.step()
        self.step += 1
        self._average(min(EMA_DECAY, self.step / (self.step + 10)))
        return {name: part.item() for name, part in parts.items()}

    def save(self) -> None:
        """Write the checkpoint; an older one stays until the new one is whole."""
        state = {
            "network": self._network.state_dict(),
            "averaged": self._averaged.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self.step,
        }
        partial = self._path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._path)

    @torch.no_grad()
    def _average(self, decay: float) -> None:
        # The running statistics too: they belong to the weights.
        pairs = zip(
            self._averaged.state_dict().values(), self._network.state_dict().values(), strict=True
        )
        for mean, value in pairs:
            if mean.is_floating_point():
                mean.lerp_(value, 1.0 - decay)
            else:
                mean.copy_(value)


def _pools(work: Path) -> list[Pool]:
    """The recordings, and the synthetic sounds if `candidates.invent_sounds` has been run."""
    pools = []
    synthetic = (work / SYNTHETIC.index).exists()
    for stored, share in ((RECORDED, 1.0 - SYNTHETIC_SHARE), (SYNTHETIC, SYNTHETIC_SHARE)):
        if stored is RECORDED or synthetic:
            samples, clips = load(work, stored)
            pools.append(Pool(samples, clips, clip_weights(clips, work / stored.heard), share))
    return pools


def train(
    *,
    audio: Path,
    teacher: Path,
    work: Path,
    schedule: Schedule,
    start_from: Path | None = None,
    workers: int = 2,
) -> Path:
    """Train, or go on training, and return the checkpoint's path.

    Parameters
    ----------
    audio, teacher : Path
        Folders of recordings (for the rooms) and of the teacher.
    work : Path
        What `prepare`, `listen` and `fit_targets` wrote; receives ``checkpoint.pt``.
    schedule : Schedule
    start_from : Path, optional
        An exported graph to go on from, if there is no checkpoint.
    workers : int
        Processes that make examples.
    """
    augmenter = Augmenter(_pools(work), load_rooms(audio), seed=SEED)
    checkpoint = work / "checkpoint.pt"

    def warm(network: AudioNetwork) -> None:
        if start_from is not None:
            first_mels = [augmenter.mel(n, length=schedule.length(n)) for n in range(WARM_EXAMPLES)]
            warm_start(network, start_from, torch.from_numpy(np.stack(first_mels)[:, None]))

    run = Run(Targets.load(work / "targets.npz"), schedule, checkpoint, warm)
    batches = DataLoader(
        Examples(augmenter, teacher, schedule),
        batch_size=schedule.batch,
        sampler=Numbers(run.step * schedule.batch, schedule.steps * schedule.batch),
        num_workers=workers,
        prefetch_factor=4,
    )
    started = saved = time.monotonic()
    first = run.step
    running: dict[str, float] = {}
    for batch in batches:
        for name, value in run.advance(*batch).items():
            running[name] = 0.98 * running.get(name, value) + 0.02 * value
        now = time.monotonic()
        if run.step % 50 == 0:
            rate = (run.step - first) * schedule.batch / (now - started)
            shown = " ".join(f"{name} {value:.3f}" for name, value in running.items())
            print(
                f"{time.strftime('%H:%M:%S')} step {run.step}/{schedule.steps} {shown} "
                f"{rate:.1f} samples/s",
                flush=True,
            )
        if now - saved > schedule.save_every_s or run.step == schedule.steps:
            saved = now
            run.save()
    return checkpoint
