"""What the server answers: the same as the engine, for each kind of question."""

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile as sf

from db.heard import store_heard
from search.engine import SearchEngine
from search.export import EXPORTS, ExportOptions, hit_values, sound_labels
from search.language import parse
from tests.ui.api.conftest import Served


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [hit["recording_id"] for hit in answer.json()["hits"]]


def id_of(served: Served, name: str) -> int:
    (found,) = served.service.catalogue.find_files(name)
    return found


def send(client: httpx.Client, address: str, path: Path, **fields: object) -> httpx.Response:
    with path.open("rb") as file:
        return client.post(address, files={"file": (path.name, file)}, data=fields)


def test_a_search_is_answered_as_the_engine_answers_it(
    served: Served, client: httpx.Client
) -> None:
    found = client.get("/search", params={"q": "dog barking", "k": 3, "facets": ["format", "tag"]})
    expected = served.service.engine.search("dog barking", k=3, facets=("format", "tag"))
    answer = found.json()
    assert answer["hits"] == [hit_values(hit, n) for n, hit in enumerate(expected.hits, start=1)]
    assert answer["hits"][0]["path"].endswith("dog-barking.wav")
    assert answer["facets"] == {facet.field: dict(facet.counts) for facet in expected.facets}
    assert set(answer["facets"]) == {"format", "tag"}
    assert answer["n_allowed"] == expected.n_allowed


def test_conditions_rankings_and_near_misses_are_passed_on(client: httpx.Client) -> None:
    by_words = client.get("/search", params={"q": "siren", "by": "words"}).json()["hits"]
    assert by_words
    assert all(hit["found_by"] == ["words"] for hit in by_words)
    assert {
        Path(hit["path"]).suffix
        for hit in client.get("/search", params={"q": "siren format:wav"}).json()["hits"]
    } == {".wav"}
    strong = client.get("/search", params={"q": "dog barking"}).json()
    weak = client.get("/search", params={"q": "dog barking", "weak": True}).json()
    assert len(weak["hits"]) == len(strong["hits"]) + strong["n_near_misses"]


def test_an_upload_finds_what_the_same_recording_finds(
    served: Served, client: httpx.Client
) -> None:
    dog = id_of(served, "dog-barking.wav")
    part = {"from_s": 0.5, "to_s": 5.5, "k": 5, "weak": True}
    by_number = client.post("/similar", data={"recording_id": dog, **part})
    by_file = send(client, "/similar", served.sounds / "animals/dog-barking.wav", **part)
    assert len(ids(by_number)) > 1
    assert ids(by_file)[:2] == ids(by_number)[:2]


def test_words_and_conditions_join_an_example(served: Served, client: httpx.Client) -> None:
    clip = served.sounds / "signals/siren-wail.wav"
    found = send(client, "/similar", clip, q="format:flac", weak=True)
    assert ids(found)
    assert {Path(hit["path"]).suffix for hit in found.json()["hits"]} == {".flac"}
    alone = send(client, "/similar", clip, weak=True).json()["hits"]
    blended = send(client, "/similar", clip, q="dog barking", weak=True).json()["hits"]
    assert [hit["score"] for hit in alone] != [hit["score"] for hit in blended]


def excerpt(served: Served, path: Path, from_s: float, to_s: float, speed: float = 1.0) -> Path:
    """Write a part of the demo's field recording, as it sounds at another speed."""
    with sf.SoundFile(served.sounds / "field/field-recording-village-edge.flac") as file:
        sr = file.samplerate
        file.seek(round(from_s * sr))
        samples = file.read(round((to_s - from_s) * sr), always_2d=True)[:, 0]
    sf.write(path, samples, round(sr * speed))
    return path


def test_an_upload_is_identified_with_its_place(
    served: Served, client: httpx.Client, tmp_path: Path
) -> None:
    clip = excerpt(served, tmp_path / "clip.flac", 90, 98)
    found = send(client, "/identify", clip, from_s=1)
    (match,) = found.json()["matches"]
    assert match["path"].endswith("field-recording-village-edge.flac")
    assert match["onset_s"] - match["query_onset_s"] == pytest.approx(90, abs=0.1)
    assert match["query_onset_s"] >= 1
    assert found.json()["identical"] is None


def test_of_an_upload_whose_end_is_cut_off_that_is_said(
    served: Served, client: httpx.Client, tmp_path: Path
) -> None:
    clip = excerpt(served, tmp_path / "clip.wav", 90, 98)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    found = send(client, "/identify", clip).json()
    assert found["matches"]
    assert "the file: the header promises 8.0 s, the file holds 4.0 s" in found["notes"]


def test_of_all_occurrences_so_many_are_given_as_were_asked_for(
    served: Served, client: httpx.Client, tmp_path: Path
) -> None:
    clip = excerpt(served, tmp_path / "clip.flac", 90, 98)
    for limit in (1, 1000):
        found = send(client, "/identify", clip, all_occurrences=True, limit=limit).json()
        assert 1 <= len(found["matches"]) <= limit
    refused = send(client, "/identify", clip, limit=1)
    assert refused.status_code == 422
    assert "all_occurrences" in refused.text


def test_the_very_file_is_told_apart(served: Served, client: httpx.Client) -> None:
    found = send(client, "/identify", served.sounds / "animals/dog-barking.wav").json()
    assert found["identical"]["path"].endswith("dog-barking.wav")
    assert found["matches"][0]["recording_id"] == found["identical"]["recording_id"]


def test_a_tape_at_the_wrong_speed_is_identified_when_it_is_called_one(
    served: Served, client: httpx.Client, tmp_path: Path
) -> None:
    tape = excerpt(served, tmp_path / "tape.flac", 20, 28, speed=1.06)
    (match,) = send(client, "/identify", tape, tape=True).json()["matches"]
    assert match["path"].endswith("field-recording-village-edge.flac")
    assert match["speed"] == pytest.approx(1.06, abs=0.005)
    assert not send(client, "/identify", tape).json()["matches"]


def test_pages_go_through_all_recordings_once(served: Served, client: httpx.Client) -> None:
    found: list[int] = []
    after: int | None = 0
    while after is not None:
        page = client.get("/recordings", params={"after": after, "limit": 40}).json()
        found += [one["recording_id"] for one in page["recordings"]]
        after = page["next_after"]
    assert len(found) == page["n_all"] == client.get("/status").json()["n_recordings"]
    assert found == sorted(set(found))
    beyond = client.get("/recordings", params={"after": found[-1]}).json()
    assert (beyond["recordings"], beyond["next_after"]) == ([], None)


def test_a_recording_is_told_with_all_that_is_known_of_it(
    served: Served, client: httpx.Client
) -> None:
    number = id_of(served, "dog-barking.wav")
    known = served.service.catalogue.recording(number)
    told = client.get(f"/recordings/{number}").json()
    assert told["technical"]["sample_rate"] == known.technical.sample_rate
    assert told["files"][0]["description"]["tags"] == list(known.files[0].description.tags)
    assert told["descriptors"]["loudness_lufs"] == known.descriptors["loudness_lufs"]
    missing = client.get("/recordings/100000")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")


def test_occurrences_come_in_order_of_time(served: Served, client: httpx.Client) -> None:
    field = id_of(served, "field-recording-village-edge.flac")
    found = client.get(f"/recordings/{field}/occurrences", params={"q": "siren"}).json()
    expected = served.service.engine.occurrences("siren", field)
    assert [one["onset_s"] for one in found["passages"]] == [one.onset_s for one in expected]
    assert found["passages"]


def test_tags_are_those_that_were_heard(served: Served, client: httpx.Client) -> None:
    dog = id_of(served, "dog-barking.wav")
    assert client.get(f"/recordings/{dog}/tags").json() == {"tags": []}
    encoder = served.service.engine.encoder
    store_heard(served.service.catalogue, "mine", "1", encoder, {dog: [("Bark", 0.9)]})
    assert client.get(f"/recordings/{dog}/tags").json()["tags"] == [
        {"label": "Bark", "score": 0.9, "vocabulary": "mine", "encoder": encoder}
    ]
    assert ids(client.get("/search", params={"q": "heard:bark"})) == [dog]
    assert client.get("/recordings/100000/tags").status_code == 404


@pytest.mark.parametrize("name", sorted(EXPORTS))
def test_an_export_has_the_bytes_that_the_command_line_writes(
    served: Served, client: httpx.Client, name: str
) -> None:
    query = parse("church bell")
    sent = client.get("/export", params={"q": "church bell", "k": 1, "format": name})
    assert sent.status_code == 200, sent.text
    written = io.BytesIO()
    options = ExportOptions(title="church bell", labels=sound_labels(query))
    EXPORTS[name].write(served.service.engine.search(query, k=1).hits, written, options)
    assert sent.content == written.getvalue()
    assert sent.headers["content-type"].split(";")[0] == EXPORTS[name].media_type
    assert EXPORTS[name].extension in sent.headers["content-disposition"]


def test_an_excerpt_is_what_the_recording_holds(served: Served, client: httpx.Client) -> None:
    dog = id_of(served, "dog-barking.wav")
    samples, sr = sf.read(served.sounds / "animals/dog-barking.wav", dtype="float32")
    sent = client.get(f"/recordings/{dog}/audio?from_s=1&to_s=2.5&format=wav")
    assert sent.headers["content-type"] == "audio/wav"
    got, got_sr = sf.read(io.BytesIO(sent.content), dtype="float32")
    assert got_sr == sr
    np.testing.assert_allclose(got, samples[sr : round(2.5 * sr)], atol=1e-6)
    flac = client.get(f"/recordings/{dog}/audio")
    assert flac.headers["content-type"] == "audio/flac"
    assert sf.info(io.BytesIO(flac.content)).frames == len(samples)


def test_ranges_of_bytes_are_answered(served: Served, client: httpx.Client) -> None:
    address = f"/recordings/{id_of(served, 'dog-barking.wav')}/audio?from_s=0&to_s=3"
    whole = client.get(address)
    assert whole.headers["accept-ranges"] == "bytes"
    n = len(whole.content)
    for asked, expected in {
        "bytes=0-99": whole.content[:100],
        "bytes=100-": whole.content[100:],
        "bytes=-50": whole.content[-50:],
    }.items():
        part = client.get(address, headers={"Range": asked, "If-Range": whole.headers["etag"]})
        assert (part.status_code, part.content) == (206, expected)
        assert part.headers["content-range"].endswith(f"/{n}")
    beyond = client.get(address, headers={"Range": f"bytes={n}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{n}")
    odd = client.get(address, headers={"Range": "bytes=a-b"})
    assert (odd.status_code, odd.json()["error"]) == (400, "bad_request")


def test_the_engine_of_the_server_is_the_engine_of_python(
    served: Served, client: httpx.Client
) -> None:
    own = SearchEngine(served.service.catalogue).search("crow cawing -music duration:<60", k=5)
    asked = client.get("/search", params={"q": "crow cawing -music duration:<60", "k": 5})
    assert ids(asked) == [hit.recording.id for hit in own.hits]
