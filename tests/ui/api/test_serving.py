"""The server as a whole: its description, many users at once, the command, the document."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import schemathesis
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.indexer.conftest import write_sound
from tests.search.archives import indexed
from tests.ui.api.conftest import Served, serving
from ui.cli import cli

PROJECT = Path(__file__).resolve().parents[3]
DOCUMENT = PROJECT / "docs" / "http.md"

load_all_checks()
_BOUNDED = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_all_that_the_description_allows_or_forbids_is_answered_as_it_says(
    served: Served, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_url(f"{served.address}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:
        if mode is GenerationMode.NEGATIVE and not any(
            [operation.query, operation.path_parameters, operation.body]
        ):
            continue  # nothing can be wrong where nothing is asked

        @_BOUNDED
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case) -> None:
            # Not every text is a question, which no description can say.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        ask()


def test_eight_users_at_once_are_all_answered(served: Served) -> None:
    clip = (served.sounds / "signals/siren-wail.wav").read_bytes()[:200_000]
    (field,) = served.service.catalogue.find_files("field-recording-village-edge.flac")
    expected = [hit.recording.id for hit in served.service.engine.search("dog barking").hits]
    end = time.monotonic() + 4

    def use(number: int) -> int:
        n_asked = 0
        with served.client() as client:
            while time.monotonic() < end:
                q = ["siren -music", "church bell & crowd", "rain duration:<20", "like:#9"][
                    n_asked % 4
                ]
                answers = [
                    client.get("/search", params={"q": "dog barking", "facets": "tag"}),
                    client.get("/search", params={"q": q, "k": 30}),
                    client.get(f"/recordings/{field}/audio?from_s={number}&to_s={number + 2}"),
                    client.get(f"/recordings/{field}/occurrences", params={"q": "siren"}),
                    client.get("/export", params={"q": "bell", "format": "jsonl"}),
                ]
                if n_asked % 8 == number:
                    answers.append(client.post("/identify", files={"file": ("a.wav", clip)}))
                    answers.append(client.post("/similar", files={"file": ("a.wav", clip)}))
                assert [answer.status_code for answer in answers] == [200] * len(answers)
                assert [hit["recording_id"] for hit in answers[0].json()["hits"]] == expected
                n_asked += 1
        return n_asked

    with ThreadPoolExecutor(8) as pool:
        assert min(pool.map(use, range(8))) >= 1
    assert list(served.temporary.iterdir()) == []


# -- the command -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "a token is needed"),
        (["--host", "archive.example"], "a token is needed"),
        (["--token", "short"], "at least 16"),
        (["--token", "sixteen letters and spaces"], "without spaces"),
        (["--catalogue", "/no/such/folder"], "no catalogue"),
    ],
)
def test_the_server_does_not_start_where_it_should_not(
    arguments: list[str], says: str, catalogue: Path
) -> None:
    ran = CliRunner().invoke(cli, ["serve", "--catalogue", str(catalogue), *arguments])
    assert ran.exit_code == 2
    assert says in ran.output


def test_a_port_that_is_taken_is_told(catalogue: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = CliRunner().invoke(cli, ["serve", "--catalogue", str(catalogue), "--port", port])
    assert ran.exit_code == 2
    assert "choose another with --port" in ran.output


@contextmanager
def command(catalogue: Path, **environment: str) -> Iterator[str]:
    """Run ``echoic serve`` itself; give its address; Ctrl-C must end it well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ui", "serve", "--catalogue", str(catalogue), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=PROJECT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    try:
        found = re.search(r"http://\S+", said)
        assert found, said + process.stdout.read()
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        said += process.stdout.read()
        code = process.wait(20)
    assert (code, "Traceback" in said) == (0, False), said


def test_the_documented_requests_are_answered(served: Served, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl on this machine")
    shutil.copy(served.sounds / "signals/siren-wail.wav", tmp_path / "clip.wav")
    blocks = re.findall(r"```bash\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    asked = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("curl ")]
    assert len(asked) > 12
    for words in asked:
        here = [word.replace("http://127.0.0.1:8000/api", served.address) for word in words]
        ran = subprocess.run(
            [curl, "-sS", "--fail-with-body", *here],
            capture_output=True,
            cwd=tmp_path,
            check=False,
        )
        assert ran.returncode == 0, (words, ran.stdout, ran.stderr)


def test_every_address_is_documented(served: Served) -> None:
    paths = httpx.get(f"{served.address}/openapi.json").json()["paths"]
    text = DOCUMENT.read_text(encoding="utf-8")
    for path in paths:
        assert path.replace("{recording_id}", "ID") in text, path


def test_the_command_serves_until_it_is_interrupted(catalogue: Path) -> None:
    token = "a-token-of-the-environment"
    with command(catalogue, ECHOIC_TOKEN=token) as address:
        assert httpx.get(f"{address}/health", timeout=20).status_code == 200
        assert httpx.get(f"{address}/status").status_code == 401
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{address}/status", headers=headers).json()["n_recordings"]


def test_help_loads_no_server() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from ui.cli import cli; cli(['serve', '--help'], standalone_mode=False); "
            "print({'fastapi', 'uvicorn', 'starlette', 'numpy'} & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT,
    )
    assert ran.stdout.endswith("set()\n")


def test_what_is_indexed_meanwhile_is_found_while_others_ask(
    catalogue: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(catalogue, tmp_path / "catalogue"))
    is_over = threading.Event()

    def ask(served: Served) -> int:
        n_asked = 0
        with served.client() as client:
            while not is_over.is_set():
                answer = client.get("/search", params={"q": "dog barking", "facets": "format"})
                assert answer.status_code == 200, answer.text
                n_asked += 1
        return n_asked

    with serving(copy, tmp_path) as served, ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, served) for _ in range(3)]
        try:
            write_sound(tmp_path / "more" / "zanzibar.wav", length_s=6.0)
            with indexed(tmp_path / "more", copy):
                pass
            with served.client() as client:
                found = client.get("/search", params={"q": "zanzibar"}).json()
            assert found["hits"][0]["path"].endswith("zanzibar.wav")
        finally:
            is_over.set()
        assert min(one.result() for one in asking) > 0
