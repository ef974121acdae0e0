"""From cards to the entries of lists."""

from typing import Any

from db.catalogue import Catalogue
from db.lists import NewEntry
from search.hits import Hit, Passage
from ui.web.texts import is_whole

Action = dict[str, Any]


def entry_of_action(catalogue: Catalogue, action: Action, query: str = "") -> NewEntry:
    """Return the passage that somebody chose on a card as an entry for a list.

    Raises
    ------
    UnknownName
        If there is no such recording any more.
    """
    duration_s = catalogue.recording(action["recording"]).technical.duration_s
    passage = Passage(action["from"], action["to"], 1.0)
    return _entry(action["recording"], passage, duration_s, query, action.get("score"))


def entry_of(hit: Hit, query: str) -> NewEntry:
    """Return the best passage of a hit as an entry for a list."""
    duration_s = hit.recording.technical.duration_s
    best = hit.passages[0] if hit.passages else Passage(0.0, duration_s, hit.score)
    return _entry(hit.recording.id, best, duration_s, query, round(hit.score, 4))


def _entry(
    recording_id: int, passage: Passage, duration_s: float, query: str, score: float | None
) -> NewEntry:
    """Return an entry. Times are those that the page knows, so that nothing is there twice."""
    if is_whole(passage, duration_s):
        return NewEntry(recording_id, query=query, score=score)
    onset_s, offset_s = round(passage.onset_s, 3), round(min(passage.offset_s, duration_s), 3)
    return NewEntry(recording_id, onset_s, offset_s, query=query, score=score)
