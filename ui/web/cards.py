"""Hits as the cards of the page: plain values that go to the browser."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from db.lists import ListEntry
from db.records import RecordingInfo
from search.fingerprints import Match
from search.hits import Hit, Passage
from ui.commands.common import count_text
from ui.web.texts import (
    STRENGTHS,
    facts_of,
    found_text,
    passage_text,
    picture_text,
    place_of,
    title_of,
)
from ui.web.uploads import Upload

Card = dict[str, Any]
_MOST_CHIPS, _MOST_OF_A_PROGRAMME = 6, 60

MORE = {"kind": "more", "icon": "more", "text": "More like this", "label": "More like this passage"}
LESS = {"kind": "less", "icon": "less", "text": "Less like this", "label": "Less like this passage"}
KEEP = {"kind": "keep", "icon": "keep", "text": "Add to list", "label": "Add to a list"}
UP = {"kind": "up", "icon": "up", "text": "Up", "label": "Move up"}
DOWN = {"kind": "down", "icon": "down", "text": "Down", "label": "Move down"}
OUT = {"kind": "out", "icon": "out", "text": "Take out", "label": "Take out of the list"}
OPEN = {"kind": "open", "icon": "open", "text": "Recording", "label": "Show the whole recording"}


def hit_card(hit: Hit, rank: int, *, query: str, listed: bool = False) -> Card:
    """Return the card of a hit.

    Parameters
    ----------
    query
        The text that found it, for the link to the recording.
    listed
        It only meets conditions, so that how well it matches is no question.
    """
    strength = STRENGTHS[hit.strength]
    title = title_of(hit.recording)
    card = recording_card(hit.recording, hit.passages, query=query)
    said = "" if listed else f", {strength.lower()} {found_text(hit)}".rstrip()
    card["label"] = f"{rank}: {title}{said}"
    if not listed:
        card["strength"] = {"kind": hit.strength.value, "text": strength}
        card["score"] = round(hit.score, 4)
        card["found"] = found_text(hit)
    if hit.copies:
        n = count_text(len(hit.copies), "copy", "copies")
        card["copies_text"] = f"and {n} in the archive"
        card["copies"] = [_copy(copy) for copy in hit.copies]
    card["actions"] = [MORE, LESS, KEEP, OPEN]
    return card


def _copy(recording: RecordingInfo) -> dict[str, Any]:
    return {
        "recording": recording.id,
        "title": title_of(recording),
        "place": place_of(recording),
        "page": _page_of(recording),
    }


def _page_of(recording: RecordingInfo, query: str = "") -> str:
    address = {"id": str(recording.id), **({"q": query} if query else {})}
    return f"/recording?{urlencode(address)}"


def recording_card(
    recording: RecordingInfo,
    passages: Sequence[Passage] = (),
    *,
    query: str = "",
    large: bool = False,
    exact: bool = False,
    key: str = "",
) -> Card:
    """Return the card of a recording."""
    title, duration_s = title_of(recording), recording.technical.duration_s
    shown = passages if large else passages[:_MOST_CHIPS]
    left = len(passages) - len(shown)
    return {
        "id": f"{key}{recording.id}",
        "recording": recording.id,
        "title": title,
        "label": title,
        "place": place_of(recording),
        "duration": round(duration_s, 3),
        "sound": f"/sound/recording/{recording.id}",
        "version": recording.content_hash[-8:],
        "page": _page_of(recording, query),
        "picture": picture_text(title, duration_s, shown[0] if shown else None),
        "passages": [_passage(passage, duration_s, exact=exact) for passage in shown],
        "more_passages": f"and {left} more" if left else "",
        "facts": facts_of(recording),
        "large": large,
        "actions": [],
    }


def entry_card(entry: ListEntry, hit: Hit, *, first: bool, last: bool) -> Card:
    """Return the card of a passage in a list, of which it may be the first and the last."""
    card = recording_card(hit.recording, hit.passages, key=f"entry-{entry.number}-", exact=True)
    card["entry"] = entry.key
    card["number"] = entry.number
    card["label"] = f"{entry.number}: {card['title']}"
    card["remark"] = entry.note
    if entry.query:
        card["facts"].append(f"found by {entry.query}")
    card["actions"] = [*[UP] * (not first), *[DOWN] * (not last), OUT, OPEN]
    return card


def match_card(match: Match, rank: int, odds: str) -> Card:
    """Return the card of a recording that was recognised."""
    passage = Passage(match.onset_s, match.offset_s, 1.0)
    card = recording_card(match.recording, (passage,), key=f"match-{rank}-", exact=True)
    card["label"] = f"{rank}: {card['title']}, recognised"
    card["facts"] = [odds, *card["facts"][:2]]
    card["actions"] = [KEEP, OPEN]
    return card


def upload_card(upload: Upload, title: str, passages: Sequence[Passage] = ()) -> Card:
    """Return the card of a sound that was dropped in."""
    shown = passages[:_MOST_OF_A_PROGRAMME]
    left = len(passages) - len(shown)
    return {
        "id": f"upload-{upload.name}",
        "recording": None,
        "title": title,
        "label": title,
        "place": "Your clip",
        "duration": round(upload.duration_s, 3),
        "sound": f"/sound/upload/{upload.name}",
        "version": upload.name[:8],
        "page": "",
        "picture": picture_text(title, upload.duration_s, None),
        "passages": [_passage(passage, upload.duration_s, exact=True) for passage in shown],
        "more_passages": f"and {left} more" if left else "",
        "facts": [],
        "large": False,
        "actions": [],
    }


def _passage(passage: Passage, duration_s: float, *, exact: bool = False) -> dict[str, Any]:
    from_s = min(passage.onset_s, max(0.0, duration_s - 0.01))
    to_s = max(min(passage.offset_s, duration_s), from_s + 0.01)
    text = passage_text(passage, duration_s, exact=exact)
    return {
        "from": round(from_s, 3),
        "to": round(to_s, 3),
        "text": text,
        "label": text.replace("–", " to "),  # noqa: RUF001
    }
