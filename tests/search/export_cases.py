"""Hits for the tests of exports: what a catalogue gives, without a catalogue."""

from datetime import datetime
from pathlib import Path

from db.records import Description, FileInfo, RecordingInfo, Technical
from search.hits import Hit, Passage, Source, Strength

NOW = datetime(2024, 5, 1)
DAMAGING = ' 5" tape,\n=1+1\t№ é\u2028\x85 .wav'
"""A file name that a careless writer of lines, columns or quotes would spoil."""


def recording(
    number: int,
    path: str | Path,
    *,
    length_s: float = 60.0,
    sr: int = 44_100,
    channels: int = 2,
    about: Description | None = None,
    missing: bool = False,
) -> RecordingInfo:
    """A recording that lies in one file."""
    place = Path(path) if Path(path).is_absolute() else Path("/tapes") / path
    file = FileInfo(
        number,
        "tapes",
        str(place.parent),
        place.name,
        NOW if missing else None,
        about or Description(),
    )
    technical = Technical(length_s, sr, channels, "WAV", "PCM_16", 16)
    return RecordingInfo(number, f"sha256:{number}", 1, technical, NOW, (file,), None, {}, {})


def hit(of: RecordingInfo, *spans_s: tuple[float, float], score: float = 0.9) -> Hit:
    """A hit with passages whose scores fall from the first on."""
    passages = tuple(
        Passage(onset_s, offset_s, round(score - 0.1 * number, 6))
        for number, (onset_s, offset_s) in enumerate(spans_s)
    )
    found_by = (Source.SOUND, Source.WORDS) if passages else (Source.WORDS,)
    return Hit(of, score, passages, Strength.STRONG, found_by)
