"""More like this, less like this: a query that has learnt from marked hits.

References
----------
.. [1] J. J. Rocchio, "Relevance feedback in information retrieval", in: G. Salton (ed.), The SMART
       Retrieval System, Prentice-Hall 1971, 313-323. The weights are those that C. Manning,
       P. Raghavan, H. Schütze, Introduction to Information Retrieval, 2008, 9.1.1, recommend.
"""

from collections.abc import Sequence
from dataclasses import replace

from search.errors import QueryError
from search.query import Archived, Query, Sound

LIKED_WEIGHT = 0.75
"""What all liked passages weigh together, against 1 for what was asked."""
DISLIKED_WEIGHT = 0.15
"""What all disliked passages are subtracted with."""


def with_feedback(
    query: Query,
    liked: Sequence[Archived],
    disliked: Sequence[Archived] = (),
    *,
    sound: int = 0,
) -> Query:
    """Move a query towards what was liked, and away from what was not.

    The weighted mean of what was asked and what was liked, less a part of what was disliked. The
    passages become terms of the query, so that it can be kept, read and changed like any other.
    Conditions stay as they are. Feedback adds up: give the query that was answered.

    Parameters
    ----------
    query
        What was asked. One without any sound (conditions only) is given one.
    liked, disliked
        Passages or whole recordings of the archive; their own weights do not matter.
    sound
        Which of the query's sounds they are to teach.

    Raises
    ------
    QueryError
        If nothing was marked, there is no such sound, or there is nothing to look for but only what
        to keep away from.
    """
    if not liked and not disliked:
        raise QueryError("mark at least one passage as liked or disliked")
    if query.sounds and not 0 <= sound < len(query.sounds):
        raise QueryError(f"the query has {len(query.sounds)} sounds: there is no sound {sound + 1}")
    if not query.sounds and not liked:
        raise QueryError("the query has no sound to keep away from the disliked: mark one as liked")
    marked = tuple(
        replace(passage, weight=share / len(passages))
        for passages, share in ((liked, LIKED_WEIGHT), (disliked, -DISLIKED_WEIGHT))
        for passage in passages
    )
    sounds = list(query.sounds) or [Sound(())]
    terms = sounds[sound].terms
    sounds[sound] = Sound(terms + marked)
    return replace(query, sounds=tuple(sounds))
