"""The hand-written phrases that the text side learns from, and how it takes sentences apart."""

from pathlib import Path

import pytest

from indexer.encoders.echoic_mini.text import parts_of
from search.vocabulary import audioset
from training.prompts import read_prompts


@pytest.fixture(scope="module")
def names() -> list[str]:
    return list(audioset().labels)


def test_every_class_has_phrases_to_learn_from_and_some_are_kept_for_measuring(
    names: list[str],
) -> None:
    prompts = read_prompts(names)
    learnt = prompts.shares[~prompts.held_out]
    assert learnt.any(axis=0).all()
    assert 300 < prompts.held_out.sum() < 0.15 * len(prompts.phrases)
    assert prompts.shares.sum(axis=1) == pytest.approx(1.0)


def test_a_class_that_there_is_not_is_named(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text("phrase,classes\nwet dog,Dog|Dampness*2\n", "utf-8")
    with pytest.raises(ValueError, match=r"'wet dog' means no class called 'Dampness\*2'"):
        read_prompts(names, path)


def test_a_phrase_that_comes_twice_is_refused(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text("phrase,classes\nwet dog,Dog\nwet dog,Dog|Water\n", "utf-8")
    with pytest.raises(ValueError, match="twice"):
        read_prompts(names, path)


def test_weights_are_shares(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text('phrase,classes\nstorm,"Rain*3|Rain on surface|Water tap, faucet*4"\n', "utf-8")
    shares = read_prompts(names, path).shares[0]
    found = {names[at]: share for at, share in enumerate(shares) if share}
    assert found == pytest.approx(
        {"Rain": 3 / 8, "Rain on surface": 1 / 8, "Water tap, faucet": 4 / 8}
    )


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("A man talks while rain falls on a roof", ["a man talks", "rain falls on a roof"]),
        ("Water is poured into a glass", ["water is poured into a glass"]),
        ("wind, followed by a bang in the distance", ["wind", "a bang in the distance"]),
        ("birds sing as cars pass by and then it stops", ["birds sing", "cars pass by"]),
        ("drum and bass", ["drum and bass"]),
        ("pots and pans clatter", ["pots and pans clatter"]),
        ("loud", ["loud"]),
        ("???", []),
    ],
)
def test_a_sentence_is_cut_at_its_links(sentence: str, parts: list[str]) -> None:
    assert [" ".join(words) for words in parts_of(sentence)] == parts


def test_a_sentence_of_many_parts_keeps_its_first_64_words() -> None:
    parts = parts_of(", ".join(f"bell number{n} rings" for n in range(40)))
    assert sum(len(words) for words in parts) == 64
