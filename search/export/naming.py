"""What passages are called: by the sound of the query that is heard there."""

from pathlib import PurePath

from search.query import Archived, Example, Query, Taught, Term, Words


def sound_labels(query: Query) -> tuple[str, ...]:
    """Return a name for each sound of a query, for `search.export.ExportOptions`.

    What is subtracted from a sound is not in its name.
    """
    return tuple(
        " + ".join(_name(term) for term in sound.terms if term.weight > 0) for sound in query.sounds
    )


def _name(term: Term) -> str:
    match term:
        case Words():
            return term.text
        case Example():
            return f"like {PurePath(term.path).stem}"
        case Archived():
            return f"like recording {term.recording_id}"
        case Taught():
            return term.name
