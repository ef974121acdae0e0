"""What comes back, for OpenAPI and for whoever reads it; times are in seconds."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from db.heard import HeardTag
from db.records import Description, Technical

_FROM_START = "From the start of the recording."


class RecordingSummary(BaseModel):
    """What identifies a recording, by the first place where it lies."""

    recording_id: int
    path: str | None = Field(description="The file on the server; null if it lies in none.")
    paths: list[str] = Field(description="All places, should it lie in several.")
    collection: str | None
    title: str | None
    creator: str | None
    licence: str | None
    duration_s: float
    content_hash: str
    missing: bool = Field(description="The file was not there at the last look.")


class PassageValues(BaseModel):
    """A stretch of a recording that answers a question."""

    onset_s: float = Field(description=_FROM_START)
    offset_s: float = Field(description=_FROM_START)
    score: float = Field(ge=0, le=1)
    sound: int = Field(description="Which of the question's sounds is heard, from 0.")


class CopyValues(BaseModel):
    """A near-copy that is folded into a hit."""

    recording_id: int
    path: str | None


class HitValues(RecordingSummary):
    """A recording that answers a question."""

    rank: int = Field(ge=1)
    score: float = Field(ge=0, le=1, description="How sure it is; the same for every question.")
    strength: Literal["strong", "possible", "weak"]
    found_by: list[Literal["sound", "words"]]
    onset_s: float | None = Field(description="Of the best passage; null if there is none.")
    offset_s: float | None
    passages: list[PassageValues] = Field(description="Best first.")
    copies: list[CopyValues]


class Answer(BaseModel):
    """The answer to a question."""

    hits: list[HitValues] = Field(description="Best first; none if nothing matches.")
    n_near_misses: int = Field(description="How many weak ones there are; `weak` lists them.")
    n_allowed: int = Field(description="Recordings that meet the conditions.")
    facets: dict[str, dict[str, int]] = Field(description="By field: values, most frequent first.")
    notes: list[str] = Field(description="What the asker should know.")


class Occurrences(BaseModel):
    """All passages of one recording that answer a question, in order of time."""

    passages: list[PassageValues]


class MatchValues(RecordingSummary):
    """A recording that was recognised in an upload."""

    query_onset_s: float = Field(description="From the start of the upload.")
    query_offset_s: float
    onset_s: float = Field(description=_FROM_START)
    offset_s: float
    speed: float = Field(description="How many times as fast as the recording the upload runs.")
    pitch: float
    score: float
    p_false: float = Field(description="The chance of such a score without a true match.")


class Identification(BaseModel):
    """Which recordings an upload was taken from."""

    identical: RecordingSummary | None = Field(description="The recording with the very bytes.")
    matches: list[MatchValues] = Field(description="None if nothing is significant.")
    notes: list[str]


class RecordingsPage(BaseModel):
    """A part of all recordings, by number."""

    recordings: list[RecordingSummary]
    n_all: int
    next_after: int | None = Field(description="`after` for the next page; null at the end.")


class FileValues(BaseModel):
    """A place where a recording lies, and what that place says of it."""

    collection: str
    path: str = Field(description="Below the collection's folder.")
    missing_since: datetime | None
    description: Description


class RecordingDetails(RecordingSummary):
    """All that is known of a recording."""

    size_bytes: int
    indexed_at: datetime
    technical: Technical
    descriptors: dict[str, Any] | None = Field(description="What was measured.")
    files: list[FileValues]
    n_segments: dict[str, int] = Field(description="By encoder.")
    n_landmarks: dict[str, int] = Field(description="By fingerprint scheme.")


class Heard(BaseModel):
    """What was heard in a recording by `echoic tag`, surest first."""

    tags: list[HeardTag]


class CollectionCounts(BaseModel):
    """What a collection holds."""

    name: str
    n_files: int
    n_missing: int
    n_failures: int
    duration_s: float


class Coverage(BaseModel):
    """How many recordings an encoder or a fingerprint scheme has done."""

    name: str
    n_recordings: int
    up_to_date: bool = Field(description="The index files hold all of it; else search is slower.")


class StatusValues(BaseModel):
    """What the archive holds."""

    version: str = Field(description="Of Echoic.")
    format: str = Field(description="Of the catalogue.")
    encoder: str = Field(description="That which answers.")
    n_recordings: int
    duration_s: float
    collections: list[CollectionCounts]
    encoders: list[Coverage]
    fingerprints: list[Coverage]
    max_upload: int = Field(description="In bytes.")
    notes: list[str]


class Health(BaseModel):
    """The server answers, and the catalogue can be read."""

    status: Literal["ok"]
