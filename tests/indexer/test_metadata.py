"""Tags, Broadcast WAV chunks, UCS names: read, merged, and never in the way of the audio."""

import json
import pickle
import random
import struct
from dataclasses import asdict
from pathlib import Path

import mutagen.flac
import mutagen.id3
import mutagen.mp3
import mutagen.mp4
import mutagen.oggvorbis
import mutagen.wave
import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st
from wavinfo import WavInfoReader

from db.records import Description
from indexer.metadata import MAX_TEXT, merge, metadata_from, parse_date, read_metadata
from indexer.ucs import UcsName, categories, parse_ucs
from tests.indexer.test_audio import write_av


def sound(path: Path, **kind: str) -> Path:
    sf.write(path, np.zeros((4410, 1)), 44_100, **kind)
    return path


def chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def add_chunks(path: Path, *added: bytes) -> Path:
    data = path.read_bytes() + b"".join(added)
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    return path


def bext(description: bytes, originator: bytes = b"Recorder", day: bytes = b"1987-06-05") -> bytes:
    head = struct.pack(
        "<256s32s32s10s8sQH64s10s180s",
        *(description, originator, b"REF123", day, b"10:20:30"),
        *(0, 1, b"", b"", b""),
    )
    return chunk(b"bext", head + b"A=ANALOGUE,M=mono\r\n")


def info(**texts: bytes) -> bytes:
    return chunk(b"LIST", b"INFO" + b"".join(chunk(k.encode(), v) for k, v in texts.items()))


def ixml(body: str) -> bytes:
    return chunk(b"iXML", f'<?xml version="1.0"?><BWFXML>{body}</BWFXML>'.encode())


def test_id3_tags_of_an_mp3_are_read(tmp_path: Path) -> None:
    path = sound(tmp_path / "x.mp3")
    tags = mutagen.mp3.MP3(path)
    tags.add_tags()
    frames = mutagen.id3
    for frame in (
        frames.TIT2(text="Harbour"),
        frames.TPE1(text="A. Sound"),
        frames.TALB(text="Ports"),
        frames.TDRC(text="1962-05"),
        frames.TCON(text=["Field Recording", "Ambient"]),
        frames.COMM(lang="eng", desc="", text="gulls and a foghorn"),
        frames.COMM(lang="eng", desc="iTunNORM", text="00000123 00000456"),
        frames.TXXX(desc="LICENSE", text="CC0"),
        frames.APIC(mime="image/png", data=b"\x89PNG" + bytes(1000)),
    ):
        tags.tags.add(frame)
    tags.save()
    got, warnings = read_metadata(path, "x.mp3")
    assert warnings == []
    assert got == Description(
        title="Harbour",
        creator="A. Sound",
        licence="CC0",
        recorded_at="1962-05",
        tags=("Field Recording", "Ambient"),
        extra={"album": "Ports", "comment": "gulls and a foghorn"},
    )


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_vorbis_comments_are_read(suffix: str, tmp_path: Path) -> None:
    path = sound(tmp_path / f"x.{suffix}")
    tags = {"flac": mutagen.flac.FLAC, "ogg": mutagen.oggvorbis.OggVorbis}[suffix](path)
    tags.update(
        {
            "TITLE": "Regen",
            "artist": ["Ä. Öl", "B."],
            "DESCRIPTION": "Rain on\na tin roof",
            "Genre": "rain;roof",
            "date": "2003-11-02",
            "label": "Schallplatten AG",
            "location": "Graz",
            "METADATA_BLOCK_PICTURE": "AAAA",
        }
    )
    tags.save()
    got, warnings = read_metadata(path, path.name)
    assert warnings == []
    assert got == Description(
        title="Regen",
        description="Rain on\na tin roof",
        creator="Ä. Öl",
        recorded_at="2003-11-02",
        tags=("rain", "roof"),
        extra={"artist": "B.", "publisher": "Schallplatten AG", "location": "Graz"},
    )


def test_mp4_tags_are_read(tmp_path: Path) -> None:
    path = write_av(tmp_path / "x.m4a", "aac", np.zeros((44_100, 1), np.float32), 44_100)
    tags = mutagen.mp4.MP4(path)
    tags["\xa9nam"], tags["\xa9ART"], tags["\xa9day"] = "Memo", "Me", "2021-03-04T05:06:07Z"
    tags["----:com.apple.iTunes:KEYWORDS"] = [b"voice; phone"]
    tags["trkn"], tags["covr"] = [(1, 2)], [mutagen.mp4.MP4Cover(b"\x89PNG")]
    tags.save()
    got, warnings = read_metadata(path, "x.m4a")
    assert warnings == []
    expected = Description(
        title="Memo", creator="Me", recorded_at="2021-03-04", tags=("voice", "phone")
    )
    assert (got.title, got.creator, got.recorded_at, got.tags) == (
        *(expected.title, expected.creator, expected.recorded_at, expected.tags),
    )


def test_broadcast_wave_chunks_are_read_the_deliberate_first(tmp_path: Path) -> None:
    path = add_chunks(
        sound(tmp_path / "x.wav"),
        bext(b"Oak door, slammed\0junk", day=b"1987-06-05"),
        info(
            INAM=b"Door\0", IART="Söhnle".encode("latin-1"), IKEY=b"door;oak", ICMT=b"take the 2nd"
        ),
        ixml(
            "<PROJECT>Dory</PROJECT><SCENE>12A</SCENE><TAKE>3</TAKE><NOTE>windy</NOTE>"
            "<USER><DESIGNER>T. N.</DESIGNER><CATEGORY>DOORS</CATEGORY></USER><EMPTY/>"
        ),
    )
    got, warnings = read_metadata(path, "x.wav")
    assert warnings == []
    assert got == Description(
        title="Door",
        description="Oak door, slammed",
        creator="T. N.",
        recorded_at="1987-06-05",
        category="DOORS",
        tags=("door", "oak"),
        extra={
            "project": "Dory",
            "scene": "12A",
            "take": "3",
            "note": "windy",
            "originator": "Recorder",
            "originator_reference": "REF123",
            "recorded_time": "10:20:30",
            "coding_history": "A=ANALOGUE,M=mono",
            "artist": "Söhnle",
            "comment": "take the 2nd",
        },
    )
    # Another reader of the format sees the same.
    other = WavInfoReader(path, info_encoding="latin-1")
    assert other.bext.description == got.description
    assert other.bext.originator_date == got.recorded_at
    assert (other.ixml.scene, other.ixml.take) == (got.extra["scene"], got.extra["take"])
    assert other.info.title.rstrip("\0") == got.title


def test_id3_inside_a_wav_is_read(tmp_path: Path) -> None:
    path = sound(tmp_path / "x.wav")
    tags = mutagen.wave.WAVE(path)
    tags.add_tags()
    tags.tags.add(mutagen.id3.TIT2(text="Wave"))
    tags.save()
    assert read_metadata(path, "x.wav")[0].title == "Wave"


def test_damaged_chunks_are_warnings_and_the_rest_is_read(tmp_path: Path) -> None:
    path = add_chunks(
        sound(tmp_path / "x.wav"),
        chunk(b"iXML", b"<BWFXML><SCENE>1</SCENE"),
        chunk(b"bext", b"short"),
        info(INAM=b"still there"),
    )
    got, warnings = read_metadata(path, "x.wav")
    assert got.title == "still there"
    assert got.description == "short"
    assert [warning.partition(":")[0] for warning in warnings] == ["iXML", "bext"]


def test_an_ixml_bomb_is_not_expanded(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><BWFXML><NOTE>&b;</NOTE></BWFXML>'
    path = add_chunks(sound(tmp_path / "x.wav"), chunk(b"iXML", bomb.encode()))
    got, warnings = read_metadata(path, "x.wav")
    assert got == Description()
    assert "entities" in warnings[0]


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "wav", "m4a", "aiff"])
def test_files_damaged_anywhere_never_raise(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "m4a":
        write_av(path, "aac", np.zeros((9000, 1), np.float32), 44_100)
    else:
        sound(path)
    whole = path.read_bytes()
    rng = random.Random(0)
    for round_ in range(60):
        data = bytearray(whole[: rng.randrange(4, len(whole))] if round_ % 2 else whole)
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(min(len(data), 3000))] = rng.randrange(256)
        path.write_bytes(data)
        got, warnings = read_metadata(path, path.name)
        assert isinstance(got, Description)
        assert all(isinstance(warning, str) for warning in warnings)


def test_a_missing_file_is_a_warning(tmp_path: Path) -> None:
    got, warnings = read_metadata(tmp_path / "gone.wav", "gone.wav")
    assert got == Description()
    assert warnings


def test_huge_texts_are_cut_with_a_warning(tmp_path: Path) -> None:
    path = sound(tmp_path / "x.flac")
    tags = mutagen.flac.FLAC(path)
    tags["description"] = "x" * 1_000_000
    tags["genre"] = [f"tag {n}" for n in range(1000)] + ["y" * 5000]
    tags.save()
    got, warnings = read_metadata(path, "x.flac")
    assert len(got.description) == MAX_TEXT
    assert len(got.tags) == 500
    assert warnings == [
        "description: cut to 20000 of 1000000 characters",
        "tags: only the first 500 of 1001 are kept",
    ]


@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=60)), max_size=10))
def test_any_texts_make_a_description_that_a_database_takes(pairs: list[tuple[str, str]]) -> None:
    got = metadata_from(pairs)
    text = json.dumps(asdict(got), ensure_ascii=False)
    text.encode()  # no lone surrogates
    assert "\0" not in text and "\\u0000" not in text
    assert pickle.loads(pickle.dumps(got)) == got
    assert merge(got) == got


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1962", "1962"),
        ("1962-05", "1962-05"),
        ("1962-05-21", "1962-05-21"),
        ("1962/05/21", "1962-05-21"),
        ("1962:05:21", "1962-05-21"),
        ("19620521", "1962-05-21"),
        ("1962-05-21T10:11:12+02:00", "1962-05-21"),
        ("1962-05-21 10:11", "1962-05-21"),
        ("1962-00-00", "1962"),
        ("1962-13-01", None),
        ("1962-02-30", None),
        ("05/06/62", None),
        ("21.05.1962", None),
        ("0000-00-00", None),
        ("196205", None),
        ("circa 1962", None),
        ("12345", None),
        ("", None),
    ],
)
def test_dates_are_iso_in_whole_or_in_part(text: str, expected: str | None) -> None:
    assert parse_date(text) == expected


def test_a_date_that_is_none_is_kept_as_text() -> None:
    assert metadata_from([("date", "summer 1962")]).extra == {"date": "summer 1962"}
    assert metadata_from([("date", "0000-00-00")]) == Description()


def test_merging_lets_the_earlier_win_and_unites_tags() -> None:
    a = Description(title="A", tags=("x", "y"), category="DOORS", extra={"k": "1"})
    b = Description(
        title="B", creator="C", tags=("y", "z"), subcategory="OAK", extra={"k": "2", "m": "3"}
    )
    assert merge(a, b) == Description(
        title="A",
        creator="C",
        category="DOORS",  # and not the subcategory of another category
        tags=("x", "y", "z"),
        extra={"k": "1", "m": "3"},
    )
    assert merge() == Description()


def test_a_full_ucs_name_is_taken_apart() -> None:
    assert parse_ucs(
        "GUNAuto-EXT_UZI 9mm-Rapid Fire Close Up_TN_NONE_416-MKH8040_Dual_Mono"
    ) == UcsName(
        catid="GUNAuto",
        category="GUNS",
        subcategory="AUTOMATIC",
        title="UZI 9mm-Rapid Fire Close Up",
        creator="TN",
        source="",
        user_category="EXT",
        vendor_category="UZI 9mm",
        user_data="416-MKH8040_Dual_Mono",
    )


@pytest.mark.parametrize(
    ("stem", "category"),
    [
        ("DOORWood_Oak Slam_TN_DORY", ("DOORS", "WOOD")),
        ("WATRWave_Calm", ("WATER", "WAVE")),
        ("RAIN_Heavy On Street_TN_DORY", ("RAIN", "GENERAL")),
        ("AERODoor_Cabin_TN_DORY", ("AIRCRAFT", "DOOR")),
        ("DOORZzz_Of A Later Version_TN_DORY", ("DOORS", "ZZZ")),
    ],
)
def test_ucs_names_have_a_category(stem: str, category: tuple[str, str]) -> None:
    name = parse_ucs(stem)
    assert name is not None
    assert (name.category, name.subcategory) == category


@pytest.mark.parametrize(
    "stem",
    [
        "my_cool_sound_final",
        "Rain_on_roof_2",
        "RAIN_on_the_roof",
        "MIX_final_v2_03",
        "TEST_1",
        "WIND",
        "doorwood_slam_tn_dory",
        "DOORWood",
        "DOORZzz_Slam",
        "DJI_0001_2021_03",
        "IMG_E1234",
        "ZOOM0001_Tr1_a_b",
        "",
        "____",
    ],
)
def test_other_names_are_not_mistaken_for_ucs(stem: str) -> None:
    assert parse_ucs(stem) is None


def test_the_table_of_ucs_is_whole() -> None:
    table = categories()
    assert len(table) == 675
    assert len({category for category, _ in table.values()}) == 82
    assert all(catid.isalpha() and c.isupper() and s.isupper() for catid, (c, s) in table.items())
    assert len(set(table.values())) == len(table)


def test_a_ucs_name_sorts_a_file_and_its_tags_title_it(tmp_path: Path) -> None:
    path = sound(tmp_path / "x.flac")
    tags = mutagen.flac.FLAC(path)
    tags["title"], tags["category"] = "A heavy oak door", "misc"
    tags.save()
    got, _ = read_metadata(path, "doors/DOORWood_Slam_TN_DORY.flac")
    assert (got.category, got.subcategory) == ("DOORS", "WOOD")
    assert (got.title, got.creator) == ("A heavy oak door", "TN")
    assert got.extra == {"catid": "DOORWood", "source": "DORY"}
