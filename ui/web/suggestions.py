"""What to ask an archive that one does not know: only what it has an answer to."""

from db.filters import RecordingFilter
from search.language import write
from search.query import Query, Sound, Words
from ui.web.archive import Archive

_WANTED, _TRIED = 6, 12
_COMMON = 0.1
"""What is true of more of the recordings than this says little."""
_PHRASES = (
    "dog barking",
    "rain",
    "church bell",
    "footsteps",
    "engine",
    "birds singing",
    "a person speaking",
    "music",
    "wind",
    "water",
)
"""Asked where nothing is known of the recordings."""


def suggestions(served: Archive, n_recordings: int) -> list[tuple[str, str]]:
    """Return what may be asked: each as text in the query language, and as people say it.

    The sounds that were heard most often, then the tags that are written most often, and where
    there is neither common sounds: of these, what a search finds.
    """
    counts = RecordingFilter(served.catalogue).facets(None, ("heard", "tag"), limit=40)
    values = [
        value
        for field in ("heard", "tag")
        for value, n in counts[field]
        if n <= max(1, _COMMON * n_recordings)
    ]
    # One of each spelling, the first.
    different = list({value.casefold(): value for value in reversed(values)}.values())[::-1]
    labels = different[:_TRIED] or list(_PHRASES)
    asked = {write(Query((Sound((Words(label),)),))): label for label in labels}
    return [(text, asked[text]) for text in served.those_that_find(tuple(asked))[:_WANTED]]
