"""What is written about a recording: tags, file names, sidecars and manifests, in one record."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import date
from pathlib import PurePosixPath

from db.records import Description
from db.storage import AnyFile
from indexer.bwf import read_bwf
from indexer.tags import read_tags
from indexer.ucs import parse_ucs

MAX_TEXT = 20_000
"""Longest text kept of any field, in characters: a lyric or a letter, not a file in disguise."""

_MAX_TAGS = 500
_MAX_TAG = 200
_MAX_EXTRA = 200

# What the same thing is called in ID3, Vorbis comments, MP4, ASF, RIFF INFO, bext, iXML, CSV.
_FIELDS = {
    "title": "title",
    "name": "title",
    "description": "description",
    "synopsis": "description",
    "caption": "description",
    "creator": "creator",
    "artist": "creator",
    "author": "creator",
    "recordist": "creator",
    "license": "licence",
    "licence": "licence",
    "rights": "licence",
    "recorded_at": "recorded_at",
    "date": "recorded_at",
    "originaldate": "recorded_at",
    "year": "recorded_at",
    "category": "category",
    "subcategory": "subcategory",
    "tags": "tags",
    "keywords": "tags",
    "genre": "tags",
    "label": "tags",
    "labels": "tags",
}


_TEXT_FIELDS = tuple(f.name for f in fields(Description) if f.name not in ("tags", "extra"))


def parse_date(text: str) -> str | None:
    """Bring a date to ISO form, whole or in part; None if it is none or ambiguous.

    ``"1962"``, ``"1962-05"``, ``"1962/05/21"``, ``"19620521"``, ``"1962-05-21T10:00:00"`` are
    dates; ``"05/06/62"`` is not.
    """
    match = re.match(r"\s*(\d{4})(?:([-/.:]?)(\d{2})(?:\2(\d{2}))?)?(?![\d/.-])", text)
    if not match:
        return None
    year, month, day = match[1], match[3], match[4]
    if match[2] == "" and month and not day:
        return None  # 196205 may be anything
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        # Recorders write 1962-00-00 where they know the year only.
        return year if month == "00" and int(year) else None
    return "-".join(part for part in (year, month, day) if part)


def clean(text: str) -> str:
    """Make text fit for a database: Unicode NFC, no control characters, no outer blanks."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
    kept = (c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))
    return "".join(kept).strip()


def split_tags(text: str) -> list[str]:
    """Split tags at semicolons and bars; at commas and slashes they are one tag."""
    return [part.strip() for part in re.split(r"[;|\n\0]", text) if part.strip()]


def metadata_from(
    pairs: Iterable[tuple[str, str]], *, warnings: list[str] | None = None
) -> Description:
    """Sort named texts into a record.

    Parameters
    ----------
    pairs : iterable of (str, str)
        Names in any case and texts, in order of preference: the first of a field stays, later
        ones go to `extra`.
    warnings : list of str, optional
        Where cut and refused values are noted.

    Returns
    -------
    Description
    """
    notes = warnings if warnings is not None else []
    values: dict[str, str] = {}
    tags: dict[str, None] = {}
    extra: dict[str, str] = {}
    for raw_key, raw_text in pairs:
        key = clean(raw_key).casefold().replace(" ", "_")
        # Before cleaning, so that 50 MB are not normalised for nothing.
        text = clean(raw_text[: 2 * MAX_TEXT])
        if len(text) > MAX_TEXT:
            text = text[:MAX_TEXT]
            notes.append(f"{key}: cut to {MAX_TEXT} of {len(raw_text)} characters")
        if not key or not text:
            continue
        name = _FIELDS.get(key)
        if name == "tags":
            tags.update(dict.fromkeys(tag[:_MAX_TAG] for tag in split_tags(text)))
            continue
        if name == "recorded_at":
            if not re.search(r"[^\W0_]", text):
                continue  # recorders without a clock write 0000-00-00
            parsed = parse_date(text)
            name, text = (name, parsed) if parsed else (None, text)
        if name is None or values.setdefault(name, text) != text:
            _add_extra(extra, key, text)
    if len(tags) > _MAX_TAGS:
        notes.append(f"tags: only the first {_MAX_TAGS} of {len(tags)} are kept")
    if len(extra) > _MAX_EXTRA:
        notes.append(f"only the first {_MAX_EXTRA} of {len(extra)} further fields are kept")
    return Description(
        **values,
        tags=tuple(list(tags)[:_MAX_TAGS]),
        extra=dict(list(extra.items())[:_MAX_EXTRA]),
    )


def _add_extra(extra: dict[str, str], key: str, text: str) -> None:
    """Keep a text under its name; several of one name in lines, each once."""
    held = extra.get(key)
    if held is None:
        extra[key] = text
    elif text not in held.split("\n") and len(held) + len(text) < MAX_TEXT:
        extra[key] = f"{held}\n{text}"


def merge(*parts: Description) -> Description:
    """Unite records of one recording: the earlier wins each field, tags and extra are united."""
    values = {
        name: next((text for part in parts if (text := getattr(part, name))), "")
        for name in _TEXT_FIELDS
    }
    tags = dict.fromkeys(tag for part in parts for tag in part.tags)
    extra: dict[str, str] = {}
    for key, text in (item for part in parts for item in part.extra.items()):
        extra.setdefault(key, text)
    # A subcategory belongs to its own category, not to that of another source.
    owner = next((part for part in parts if part.category), None)
    if owner is not None:
        values["subcategory"] = owner.subcategory
    return Description(**values, tags=tuple(tags), extra=extra)


def read_metadata(path: AnyFile, relative_path: str) -> tuple[Description, list[str]]:
    """Read what a file says of itself: tags, Broadcast-WAV chunks, a UCS name.

    Damaged tags never fail a recording: what could be read comes back, with a warning. Category
    and subcategory are taken from a UCS name before all else, title and creator after all else.

    Parameters
    ----------
    path : Path or RemoteFile
        Opened read-only.
    relative_path : str
        The path that the catalogue keeps, whose name may follow UCS.

    Returns
    -------
    metadata : Description
    warnings : list of str
    """
    warnings: list[str] = []
    parts = [
        metadata_from(read_bwf(path, warnings=warnings), warnings=warnings),
        metadata_from(read_tags(path, warnings=warnings), warnings=warnings),
    ]
    if name := parse_ucs(PurePosixPath(relative_path).stem):
        parts.insert(0, Description(category=name.category, subcategory=name.subcategory))
        further: Mapping[str, str] = {
            "catid": name.catid,
            "source": name.source,
            "user_category": name.user_category,
            "vendor_category": name.vendor_category,
            "user_data": name.user_data,
        }
        extra = {key: text for key, text in further.items() if text}
        parts.append(Description(title=name.title, creator=name.creator, extra=extra))
    return merge(*parts), warnings
