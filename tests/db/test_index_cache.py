"""One process at a time writes the index files that a machine keeps of a catalogue on a server."""

import threading
from pathlib import Path

import pytest

from db import index_cache
from db.errors import TurnMissed
from db.index_cache import IndexCache
from db.patience import Patience


def test_who_waits_in_vain_to_save_is_told_who_is_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_cache, "_MOST_WAIT_S", 0.1)
    one, other = (IndexCache(tmp_path, is_one_of_many=True) for _ in range(2))
    with one.saving():
        with one.saving():
            pass
        with (
            pytest.raises(
                TurnMissed, match=r"written by process \d+ \(.*wait until it has finished"
            ),
            other.saving(),
        ):
            pass
    with other.saving():
        assert other.id == one.id
    assert not list(tmp_path.glob("*.json"))


def test_who_is_patient_says_what_it_waits_for_and_saves_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_cache, "_MOST_WAIT_S", 0.1)
    one, other = (IndexCache(tmp_path, is_one_of_many=True) for _ in range(2))
    saving = one.saving()
    saving.__enter__()
    said: list[str] = []

    def say(news: str) -> None:
        said.append(news)
        if len(said) == 1:
            saving.__exit__(None, None, None)

    def save() -> str:
        with other.saving():
            return other.id

    assert Patience(say, threading.Event(), most_s=30.0).outlast(save) == one.id
    assert said[0].startswith("Waiting: the index files in ")
    assert said[1] == "It is our turn again"
