"""Questions: search, similar, identify."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, Final

from anyio import from_thread, to_thread
from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from db.filters import FACETS
from search.export import hit_values, recording_values
from search.export_matches import match_values
from search.hits import Results
from search.language import MAX_LENGTH
from search.query import Archived, Example, Sound
from search.query import Query as Asked
from search.ranking import Ranking
from search.rehearing import unread_note
from search.too_little import too_little
from ui.api.models import Answer, Identification
from ui.api.problems import Refused, documented
from ui.api.service import Service, Shared, question, uploaded

router = APIRouter(prefix="/api", tags=["questions"])

MAX_ID: Final = 2**31 - 1
"""Of a recording, in every database."""
MOST_HITS: Final = 1000
_MOST_LISTENED_S: Final = 3600.0
_LATEST_S: Final = 86_400.0
MAX_TIME_S: Final = 86_400.0 * 365

QuestionText = Annotated[
    str,
    Query(
        min_length=1,
        max_length=MAX_LENGTH,
        description="A question in the query language; it cannot name files of the server.",
        examples=["dog barking -music duration:<30"],
    ),
]
_FACETS: Final[dict[str, Any]] = {"items": {"type": "string", "enum": list(FACETS)}}


class Wanted(BaseModel):
    """How a question is to be answered; the parameters that search and export share."""

    model_config = ConfigDict(extra="forbid")  # a misspelt one would go unnoticed

    q: QuestionText
    k: int = Field(20, ge=1, le=MOST_HITS, description="The greatest number of hits.")
    by: Ranking = Field(Ranking.FUSED, description="Listen, read names and tags, or both.")
    fold: bool = Field(True, description="Make one hit of near-copies.")


class WantedAnswer(Wanted):
    """The parameters of search."""

    facets: list[str] = Field(
        [], description="Fields whose values are to be counted.", json_schema_extra=_FACETS
    )
    weak: bool = Field(False, description="List the nearest misses, too.")


@router.get("/search", responses=documented(400, 404, 422, 503))
def search(service: Shared, wanted: Annotated[WantedAnswer, Query()]) -> Answer:
    """Find recordings by words, by what is known of them, by recordings, and combined."""
    return _answer(
        service.engine.search(
            question(wanted.q),
            k=wanted.k,
            ranking=wanted.by,
            fold_copies=wanted.fold,
            facets=wanted.facets,
        ),
        weak=wanted.weak,
    )


@router.post("/similar", responses=documented(400, 404, 413, 422, 503))
async def similar(
    service: Shared,
    file: Annotated[UploadFile | None, File(description="A sound.")] = None,
    recording_id: Annotated[
        int | None, Form(ge=1, le=MAX_ID, description="Instead of a file: one of the archive.")
    ] = None,
    from_s: Annotated[float | None, Form(ge=0, le=MAX_TIME_S, description="Of the part.")] = None,
    to_s: Annotated[float | None, Form(gt=0, le=MAX_TIME_S)] = None,
    q: Annotated[
        str,
        Form(
            max_length=MAX_LENGTH,
            description="Words that are joined with the example, and conditions.",
        ),
    ] = "",
    k: Annotated[int, Form(ge=1, le=MOST_HITS)] = 20,
    fold: Annotated[bool, Form()] = True,
    weak: Annotated[bool, Form()] = False,
) -> Answer:
    """Find recordings that sound like an upload, or like a part of a recording."""
    check_part(from_s, to_s)

    def answered() -> Answer:
        asked = question(q) if q.strip() else None
        ranking = Ranking.SOUND if asked is None else Ranking.FUSED
        with _example(service, file, recording_id, (from_s, to_s)) as example:
            query = _joined(asked, example)
            found = service.engine.search(query, k=k, ranking=ranking, fold_copies=fold)
            return _answer(found, weak=weak)

    return await to_thread.run_sync(answered, limiter=service.long_jobs)


@router.post("/identify", responses=documented(400, 404, 413, 422, 503))
async def identify(
    request: Request,
    service: Shared,
    file: Annotated[UploadFile, File(description="An excerpt of some seconds, or a programme.")],
    from_s: Annotated[float, Form(ge=0, le=MAX_TIME_S, description="Of the part.")] = 0.0,
    to_s: Annotated[float | None, Form(gt=0, le=MAX_TIME_S)] = None,
    p_false: Annotated[
        float, Form(ge=1e-12, le=0.5, description="The chance of a false match that is accepted.")
    ] = 1e-3,
    tape: Annotated[
        bool, Form(description="Speed and pitch may be off by 10 %, not only 2.4 %: takes longer.")
    ] = False,
    all_occurrences: Annotated[bool, Form(description="Every place, not only the best.")] = False,
    limit: Annotated[
        int | None,
        Form(ge=1, le=MOST_HITS, description="Of these places, so many with the highest scores."),
    ] = None,
) -> Identification:
    """Find which recordings an upload was taken from, and where in them."""
    check_part(from_s, to_s)
    if limit is not None and not all_occurrences:
        raise Refused(422, "invalid_request", "limit: it goes with all_occurrences")
    listening = _Listening(request, from_s, to_s)

    def identified() -> Identification:
        engine, unread, warnings = service.fingerprints(tape=tape), dict[int, str](), list[str]()
        with uploaded(file, service) as path:
            matches = engine.identify(
                path,
                from_s=from_s,
                to_s=to_s,
                p_false=p_false,
                all_occurrences=all_occurrences,
                limit=limit,
                on_progress=listening.goes_on,
                on_unread=unread.__setitem__,
                on_warning=lambda warning: warnings.append(f"the file: {warning}"),
            )
            itself = engine.identical(path)
            why = "" if matches else too_little(path, from_s=from_s, to_s=to_s)
        return Identification.model_validate(
            {
                "identical": None if itself is None else recording_values(itself),
                "matches": [match_values(match) for match in matches],
                "notes": [
                    *([f"nothing can be found: {why}"] if why else []),
                    *warnings,
                    *([unread_note(unread)] if unread else []),
                    *engine.notes,
                ],
            }
        )

    return await to_thread.run_sync(identified, limiter=service.long_jobs)


class _Listening:
    """Goes through an upload for an hour at most, and while someone waits for the answer."""

    def __init__(self, request: Request, from_s: float, to_s: float | None) -> None:
        _check_upload_part(from_s)
        self._request = request
        self._most_s = from_s + _MOST_LISTENED_S
        if to_s is not None and to_s > self._most_s:
            raise self._too_long()

    def goes_on(self, onset_s: float) -> None:
        """Stop if it has been long enough.

        Raises
        ------
        Refused
        """
        if onset_s > self._most_s:
            raise self._too_long()
        if from_thread.run(self._request.is_disconnected):
            raise Refused(400, "gone", "nobody waits for this any more")

    def _too_long(self) -> Refused:
        return Refused(
            422,
            "too_long",
            f"at most {_MOST_LISTENED_S:,.0f} s are listened to at once: choose a part by from_s "
            "and to_s",
        )


def check_part(from_s: float | None, to_s: float | None) -> None:
    """Refuse a part that ends before it begins.

    Raises
    ------
    Refused
    """
    if to_s is not None and to_s <= (from_s or 0.0):
        raise Refused(422, "invalid_request", "to_s: the part ends before it begins")


def _check_upload_part(from_s: float | None) -> None:
    """Refuse what would take long to come to: an upload is decoded from its beginning.

    Raises
    ------
    Refused
    """
    if from_s is not None and from_s > _LATEST_S:
        raise Refused(422, "too_long", f"from_s: {_LATEST_S:,.0f} s into an upload at most")


@contextmanager
def _example(
    service: Service,
    file: UploadFile | None,
    recording_id: int | None,
    part: tuple[float | None, float | None],
) -> Iterator[Example | Archived]:
    """Give an upload or a recording as a term of a query."""
    if file is not None and recording_id is None:
        _check_upload_part(part[0])
        with uploaded(file, service) as path:
            yield Example(path, *part)
    elif recording_id is not None and file is None:
        yield Archived(recording_id, *part)
    else:
        raise Refused(422, "invalid_request", "send either a file or a recording_id")


def _joined(asked: Asked | None, example: Example | Archived) -> Asked:
    """Make one sound of an example and of the words that come with it."""
    query = asked or Asked()
    first, *others = query.sounds or (Sound(()),)
    return replace(query, sounds=(Sound((example, *first.terms)), *others))


def _answer(results: Results, *, weak: bool) -> Answer:
    hits = [*results.hits, *results.near_misses] if weak else results.hits
    return Answer.model_validate(
        {
            "hits": [hit_values(hit, rank) for rank, hit in enumerate(hits, start=1)],
            "n_near_misses": len(results.near_misses),
            "n_allowed": results.n_allowed,
            "facets": {facet.field: dict(facet.counts) for facet in results.facets},
            "notes": list(results.notes),
        }
    )
