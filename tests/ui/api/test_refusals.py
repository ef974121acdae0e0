"""What the server refuses: files of its own, strangers, too much, nonsense; and how it says so."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from tests.ui.api.conftest import MAX_UPLOAD, Served, serving

TOKEN = "0123456789abcdef0123456789abcdef"


def assert_refused(answer: httpx.Response, status: int, error: str, says: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error", "detail"}
    assert answer.json()["error"] == error
    assert says in answer.json()["detail"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("file", ["/etc/passwd", "/no/such/file", "~", '"#42"'])
@pytest.mark.parametrize("term", ["like:{}", "rain + like:{}", "rain -[like:{}]", "-copyof:{}"])
def test_a_question_that_names_a_file_is_refused_whether_there_is_one_or_not(
    client: httpx.Client, term: str, file: str
) -> None:
    q = term.format(file)
    answers = [
        client.get("/search", params={"q": q}),
        client.get("/export", params={"q": q}),
        client.get("/recordings/1/occurrences", params={"q": q}),
        client.post("/similar", data={"recording_id": 1, "q": q}),
    ]
    for answer in answers:
        assert_refused(answer, 400, "bad_query", "this server reads none of its own")
    assert len({answer.text for answer in answers}) == 1


def test_mistakes_are_told_in_a_sentence(client: httpx.Client) -> None:
    get, post = client.get, client.post
    assert_refused(get("/search", params={"q": "duraton:<3"}), 400, "bad_query", "duration")
    assert_refused(get("/search", params={"q": "dog", "facets": "x"}), 400, "bad_query", "counted")
    assert_refused(get("/search", params={"q": "like:#99999"}), 404, "not_found", "99999")
    assert_refused(get("/search", params={"q": "dog", "k": 0}), 422, "invalid_request", "k: ")
    assert_refused(get("/search", params={"q": "dog", "limit": 3}), 422, "invalid_request", "limit")
    assert_refused(get("/export", params={"q": "dog", "format": "x"}), 400, "bad_export", "csv")
    assert_refused(post("/similar", data={"k": 3}), 422, "invalid_request", "either")
    part = {"recording_id": 1, "from_s": 3, "to_s": 2}
    assert_refused(post("/similar", data=part), 422, "invalid_request", "ends before")
    assert_refused(get("/nothing"), 404, "not_found", "openapi")
    assert_refused(client.delete("/recordings/1"), 405, "method_not_allowed")
    assert_refused(get("/recordings/99999999999999999999"), 422, "invalid_request")


def test_no_more_than_a_minute_of_a_recording_is_sent(served: Served, client: httpx.Client) -> None:
    (field,) = served.service.catalogue.find_files("field-recording-village-edge.flac")
    address = f"/recordings/{field}/audio"
    assert_refused(client.get(f"{address}?from_s=10&to_s=80"), 422, "bad_audio", "60 s")
    assert_refused(client.get(f"{address}?from_s=301"), 422, "bad_audio", "300.000 s")
    assert_refused(client.get(f"{address}?from_s=nan"), 422, "invalid_request")
    assert client.get(address).status_code == 200


def test_no_more_than_an_hour_of_sound_is_exported(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"q": "duration:>100", "format": "wav"}
    monkeypatch.setattr("ui.api.exporting._MOST_SOUND_S", 100.0)
    assert_refused(client.get("/export", params=wanted), 400, "bad_export", "at most 100 s")


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "recordings/..%2f..%2fetc%2fpasswd/audio",
        "recordings/%2fetc%2fpasswd/audio",
        "recordings/1%00/audio",
        "recordings/1/audio/../../../../etc/passwd",
        "recordings/1/audio?path=/etc/passwd&format=../../etc/passwd",
    ],
)
def test_no_address_leads_to_a_file_of_the_machine(served: Served, path: str) -> None:
    with served.client() as client:
        # Joined by hand: a client would tidy the dots away.
        request = client.build_request("GET", served.address)
        request.url = request.url.copy_with(raw_path=f"/api/{path}".encode())
        answer = client.send(request)
    assert 400 <= answer.status_code < 500
    assert "root:" not in answer.text


def test_a_place_outside_its_collection_is_not_read(catalogue: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(catalogue, tmp_path / "catalogue"))
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"RIFF")
    engine = create_engine(f"sqlite:///{copy / 'catalogue.sqlite'}")
    with engine.begin() as connection:
        root = connection.execute(text("SELECT root FROM collections")).scalar_one()
        inside = "../" * len(Path(root).parts) + str(secret)[1:]
        statement = text("UPDATE files SET path = :path WHERE recording_id = :id")
        connection.execute(statement, {"path": inside, "id": 1})
        connection.execute(statement, {"path": str(secret), "id": 2})
    engine.dispose()
    with serving(copy, tmp_path) as served, served.client() as client:
        for number in (1, 2):
            answer = client.get(f"/recordings/{number}/audio")
            assert_refused(answer, 404, "file_missing", "does not lie in its collection")


def test_a_database_that_fails_is_not_quoted(catalogue: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(catalogue, tmp_path / "catalogue"))
    with serving(copy, tmp_path) as served, served.client() as client:
        engine = create_engine(f"sqlite:///{copy / 'catalogue.sqlite'}")
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE heard_tags"))
        engine.dispose()
        answer = client.get("/recordings/1/tags")
        assert_refused(answer, 503, "unavailable", "log")
        assert str(tmp_path) not in answer.text


# -- uploads ---------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/similar", "/identify"])
def test_uploads_are_removed_whatever_becomes_of_them(
    served: Served, client: httpx.Client, address: str
) -> None:
    good = (served.sounds / "animals/dog-barking.wav").read_bytes()
    for name, content, status in (
        ("dog.wav", good, 200),
        ("../../dog.wav", good, 200),
        ("broken.wav", b"RIFF, but nothing else", 422),
        ("empty.flac", b"", 422),
        ("large.wav", bytes(MAX_UPLOAD + 1), 413),
    ):
        answer = client.post(address, files={"file": (name, content)})
        assert answer.status_code == status, answer.text
        assert str(served.temporary) not in answer.text
        assert list(served.temporary.iterdir()) == []


def test_an_upload_that_is_no_sound_is_called_by_its_name(client: httpx.Client) -> None:
    answer = client.post("/identify", files={"file": ("letter.wav", b"Dear Sir")})
    assert_refused(answer, 422, "bad_audio", "letter.wav: ")


def test_an_upload_is_stopped_where_it_is_too_large_even_if_it_does_not_tell(
    served: Served,
) -> None:
    n_sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal n_sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        for _ in range(1000):
            n_sent += 1
            yield bytes(100_000)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    with served.client() as client:
        try:
            answer = client.post("/identify", content=endless(), headers=headers)
        except (httpx.WriteError, httpx.ReadError):
            pass  # it hung up before all was sent
        else:
            assert_refused(answer, 413, "too_large", f"{MAX_UPLOAD:,}")
    assert n_sent < 1000
    assert list(served.temporary.iterdir()) == []


def test_more_than_an_hour_is_not_listened_to_at_once(served: Served, client: httpx.Client) -> None:
    with (served.sounds / "animals/dog-barking.wav").open("rb") as file:
        data = {"from_s": 10, "to_s": 3700}
        answer = client.post("/identify", files={"file": file}, data=data)
    assert_refused(answer, 422, "too_long", "3,600 s")


# -- who may ask -----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_page_that_gives_its_name_our_address_is_not_answered(served: Served, host: str) -> None:
    with served.client(Host=host) as client:
        assert_refused(client.get("/search", params={"q": "dog"}), 400, "unknown_host")


def test_pages_of_other_sites_may_not_ask(served: Served) -> None:
    for origin in ("https://evil.example", "null"):
        with served.client(Origin=origin) as client:
            assert_refused(client.get("/health"), 403, "foreign_origin")
    port = served.address.rsplit(":", 1)[1].split("/")[0]
    with served.client(Origin=f"http://localhost:{port}", Host=f"localhost:{port}") as client:
        answer = client.get("/health")
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_with_a_token_only_who_sends_it_is_answered(catalogue: Path, tmp_path: Path) -> None:
    with serving(catalogue, tmp_path, token=TOKEN) as served:
        for header in (None, TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é", "Bearer"):
            headers = {} if header is None else {"Authorization": header.encode()}
            answer = httpx.get(f"{served.address}/status", headers=headers)
            assert_refused(answer, 401, "unauthorised", "Authorization")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert httpx.get(f"{served.address}/openapi.json").status_code == 401
        assert httpx.get(f"{served.address}/health").json() == {"status": "ok"}
        with served.client(Authorization=f"Bearer {TOKEN}", Host="archive.example") as client:
            assert client.get("/status").status_code == 200
            described = client.get("/openapi.json").json()
        assert described["security"] == [{"token": []}]
