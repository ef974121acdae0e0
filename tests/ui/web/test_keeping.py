"""Cards and lists: what a card's button means to a list, and what a hit says on its card."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from db.catalogue import Catalogue
from db.errors import UnknownName
from db.list_editing import ListChanged, put_back, shift_entry, take_out
from db.lists import NewEntry, add_entries, entries, remove_list
from db.schema import ListEntryRow
from search.hits import Hit, Passage, Source, Strength
from ui.web.cards import entry_card, hit_card
from ui.web.keeping import entry_of, entry_of_action


@pytest.fixture
def opened(catalogue: Path) -> Iterator[Catalogue]:
    with Catalogue.open(catalogue) as found:
        yield found


def hit(opened: Catalogue, recording_id: int, *passages: Passage) -> Hit:
    recording = opened.recording(recording_id)
    copies = (opened.recording(3),) if recording_id != 3 else ()
    return Hit(recording, 0.876543, passages, Strength.STRONG, (Source.SOUND,), copies)


def test_a_passage_is_the_same_entry_by_its_own_button_and_with_all_others(
    opened: Catalogue,
) -> None:
    found = hit(opened, 6, Passage(17.123456, 25.0004999, 0.9))
    card = hit_card(found, 1, query="dog")
    (shown,) = card["passages"]
    sent = {"recording": 6, "from": shown["from"], "to": shown["to"], "score": card["score"]}
    assert entry_of_action(opened, sent, "dog") == entry_of(found, "dog")
    whole = {"recording": 6, "from": 0.0, "to": card["duration"], "score": None}
    entry = entry_of_action(opened, whole)
    assert (entry.onset_s, entry.offset_s) == (None, None)


def test_a_card_tells_the_score_and_names_the_copies_that_are_folded_into_it(
    opened: Catalogue,
) -> None:
    card = hit_card(hit(opened, 6, Passage(17.0, 25.0, 0.9)), 1, query="dog")
    assert card["score"] == 0.8765
    assert card["copies_text"] == "and 1 copy in the archive"
    assert [copy["page"] for copy in card["copies"]] == ["/recording?id=3"]
    assert [one["kind"] for one in card["actions"]] == ["more", "less", "keep", "open"]


def order(opened: Catalogue, name: str) -> list[int | None]:
    return [one.recording_id for one in entries(opened, name)]


def test_what_was_taken_out_comes_back_to_its_place_as_it_was(opened: Catalogue) -> None:
    found = [hit(opened, id_, Passage(0.5, 1.5, 0.9)) for id_ in (1, 2, 3)]
    add_entries(opened, "order", [entry_of(one, "animals") for one in found])
    before = entries(opened, "order")
    taken = take_out(opened, "order", [before[1].key, before[0].key])
    assert order(opened, "order") == [3]
    put_back(opened, "order", taken)
    put_back(opened, "order", taken)
    after = entries(opened, "order")
    assert [replace(one, id=0) for one in after] == [replace(one, id=0) for one in before]
    shift_entry(opened, "order", after[2].key, up=True)
    assert order(opened, "order") == [1, 3, 2]
    remove_list(opened, "order")
    with pytest.raises(UnknownName):
        put_back(opened, "order", taken)
    cards = [
        entry_card(one, found[0], first=first, last=last)
        for one, first, last in zip(after, (True, False, False), (False, False, True), strict=True)
    ]
    kinds = [[way["kind"] for way in card["actions"]] for card in cards]
    assert kinds == [["down", "out", "open"], ["up", "down", "out", "open"], ["up", "out", "open"]]


def test_a_button_of_a_card_means_its_own_passage_whatever_others_have_done_meanwhile(
    opened: Catalogue,
) -> None:
    passages = [NewEntry(1, float(n), n + 1.0) for n in range(4)]  # all of one recording
    add_entries(opened, "shared", passages)
    first, second, third, fourth = entries(opened, "shared")
    take_out(opened, "shared", [first.key])
    shift_entry(opened, "shared", third.key, up=True)
    assert [one.onset_s for one in entries(opened, "shared")] == [2.0, 1.0, 3.0]
    take_out(opened, "shared", [fourth.key])
    add_entries(opened, "shared", [NewEntry(1, 7.0, 8.0)])  # SQLite gives it the same number
    for stale in (first, fourth):
        with pytest.raises(ListChanged, match="look at it again"):
            take_out(opened, "shared", [second.key, stale.key])
        with pytest.raises(ListChanged):
            shift_entry(opened, "shared", stale.key, up=False)
    assert [one.onset_s for one in entries(opened, "shared")] == [2.0, 1.0, 7.0]
    remove_list(opened, "shared")


def test_a_passage_moves_past_what_is_seen_and_not_past_what_the_archive_has_lost(
    opened: Catalogue,
) -> None:
    add_entries(opened, "gaps", [NewEntry(1), NewEntry(2), NewEntry(3)])
    with opened.transaction(of_contents=False) as session:
        lost = ListEntryRow.content_hash == opened.recording(2).content_hash
        session.execute(update(ListEntryRow).where(lost).values(content_hash="sha256:gone"))
    seen = entries(opened, "gaps", present=True)
    assert [(one.number, one.recording_id) for one in seen] == [(1, 1), (3, 3)]
    assert [one.number for one in entries(opened, "gaps", present=False)] == [2]
    assert [one.number for one in entries(opened, "gaps", present=True, limit=1)] == [1]
    shift_entry(opened, "gaps", seen[1].key, up=True)
    assert order(opened, "gaps") == [3, 1, None]
    shift_entry(opened, "gaps", seen[0].key, up=False)
    assert order(opened, "gaps") == [3, 1, None]
    remove_list(opened, "gaps")
