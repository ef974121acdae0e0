"""Queries and hits that are kept: saved searches, what is new to them, lists of passages."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from db.catalogue import Catalogue
from db.conditions import Condition, Range
from db.lists import ListEntry, NewEntry, entries
from db.saved_searches import (
    SavedSearch,
    mark_seen,
    newest_recording,
    save_search,
    saved_search,
)
from search.engine import SearchEngine
from search.errors import QueryError, QuerySyntaxError
from search.export import sound_labels
from search.hits import Hit, Passage, Results
from search.language import parse, write
from search.query import Archived
from search.ranking import strength_of

MOST_NEW: Final = 1_000
"""So many new matches are given at once, if nothing else is said."""


@dataclass(frozen=True, slots=True)
class NewMatches:
    """What has come into the archive since a saved search was last asked for it.

    Attributes
    ----------
    results : Results
    up_to : int
        The newest recording that was looked at.
    is_complete : bool
        False if there may be more than were asked for.
    """

    results: Results
    up_to: int
    is_complete: bool


def save(
    catalogue: Catalogue, name: str, query: str, *, relative_to: Path | None = None
) -> SavedSearch:
    """Keep a query under a name. What is in the catalogue now is not new to it.

    Parameters
    ----------
    query
        In the query language.
    relative_to
        The folder that its files are seen from; they are kept as seen from there.

    Raises
    ------
    QuerySyntaxError
        If it cannot be read.
    CatalogueError
        If the name is blank or taken.
    """
    return save_search(catalogue, name, write(parse(query, relative_to=relative_to)))


def new_matches(
    engine: SearchEngine, name: str, *, k: int = MOST_NEW, fold_copies: bool = True
) -> NewMatches:
    """Run a saved search over the recordings that have come since it was last asked for new ones.

    They stay new until `accept` is called, so that none is lost on its way to the reader.

    Raises
    ------
    UnknownName
        If there is no saved search of this name.
    """
    saved = saved_search(engine.catalogue, name)
    up_to = newest_recording(engine.catalogue)
    if up_to <= saved.last_seen:
        return NewMatches(Results((), notes=tuple(engine.notes)), saved.last_seen, True)
    query = parse(saved.query)
    is_new = Condition("id", (Range(saved.last_seen + 1, up_to),))
    asked = replace(query, conditions=(*query.conditions, is_new))
    results = engine.search(asked, k=k, fold_copies=fold_copies)
    return NewMatches(results, up_to, results.is_complete)


def accept(catalogue: Catalogue, name: str, matches: NewMatches) -> None:
    """Note that new matches have been seen; the next ones are those that come after them.

    Those of an incomplete answer stay new.
    """
    if matches.is_complete:
        mark_seen(catalogue, name, matches.up_to)


def entry_of_hit(hit: Hit, query: str) -> NewEntry:
    """Return a hit as an entry for a list: its best passage, or the recording if it has none."""
    best = hit.passages[0] if hit.passages else None
    return NewEntry(
        hit.recording.id,
        best.onset_s if best else None,
        best.offset_s if best else None,
        query=query,
        score=hit.score,
    )


def entry_of_passage(catalogue: Catalogue, passage: Archived, note: str = "") -> NewEntry:
    """Return a passage of the archive as an entry for a list.

    Raises
    ------
    UnknownName
        If there is no such recording.
    QueryError
        If it has no such part.
    """
    recording = catalogue.recording(passage.recording_id)
    if passage.from_s is None and passage.to_s is None:
        return NewEntry(recording.id, note=note)
    duration_s = recording.technical.duration_s
    from_s = passage.from_s or 0.0
    if from_s >= duration_s:
        raise QueryError(
            f"recording {recording.id} is {duration_s:.1f} s long: the part asked for is not in it"
        )
    to_s = duration_s if passage.to_s is None else min(passage.to_s, duration_s)
    return NewEntry(recording.id, from_s, to_s, note)


def hits_of_list(catalogue: Catalogue, name: str) -> tuple[list[Hit], list[ListEntry]]:
    """Return the passages of a list as hits, for exports; and those whose recording is not there.

    They have their notes. A passage that a query for one sound found is labelled by it, as in the
    query's own exports; one that was put there by hand has no score.

    Raises
    ------
    UnknownName
        If there is no list of this name.
    """
    return hits_of_entries(catalogue, entries(catalogue, name))


def hits_of_entries(
    catalogue: Catalogue, found: Sequence[ListEntry]
) -> tuple[list[Hit], list[ListEntry]]:
    """Return entries of a list as hits, in their order; and those whose recording is not there."""
    ids = [entry.recording_id for entry in found if entry.recording_id is not None]
    recordings = catalogue.recordings(ids)
    labels = {query: _label(query) for query in {entry.query for entry in found}}
    hits, lost = [], []
    for entry in found:
        recording = recordings.get(entry.recording_id or 0)
        if recording is None:
            lost.append(entry)
            continue
        score = entry.score or 0.0
        passages: tuple[Passage, ...] = ()
        if entry.onset_s is not None and entry.offset_s is not None:
            passages = (Passage(entry.onset_s, entry.offset_s, score),)
        has_score = entry.score is not None
        hits.append(
            Hit(
                recording,
                score,
                passages,
                strength_of(score),
                has_score=has_score,
                label=labels[entry.query],
                note=entry.note,
            )
        )
    return hits, lost


def _label(query: str) -> str:
    """Say what a query listens for, if that is one sound: of several, entries tell not which."""
    if not query:
        return ""
    try:
        sounds = sound_labels(parse(query))
    except QuerySyntaxError:  # of an older Echoic: then the recording's title is the label
        return ""
    return sounds[0] if len(sounds) == 1 else ""
