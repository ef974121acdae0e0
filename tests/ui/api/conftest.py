"""The demo archive behind a real server, in a thread of the test's process."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from db.catalogue import Catalogue
from ui.api.application import application
from ui.api.server import allowed_hosts, configured, listening
from ui.api.service import Service

MAX_UPLOAD = 1_500_000
"""In bytes; larger than what the tests send, but for those about it."""


@dataclass(frozen=True)
class Served:
    """A running server."""

    address: str
    service: Service
    sounds: Path
    temporary: Path

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers=headers, timeout=30)


Serve = Callable[..., Served]


@contextmanager
def serving(catalogue: Path, sounds: Path, *, token: str | None = None) -> Iterator[Served]:
    """Serve a catalogue on a free port; its uploads go to a folder of their own."""
    temporary = catalogue.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch, Catalogue.open(catalogue) as opened:
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setenv("XDG_CACHE_HOME", str(catalogue.parent / "cache"))
        service = Service(opened, max_upload=MAX_UPLOAD)
        hosts = allowed_hosts("127.0.0.1", token)
        server = uvicorn.Server(configured(application(service, token=token, hosts=hosts)))
        sock = listening("127.0.0.1", 0)
        thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = sock.getsockname()[1]
        try:
            yield Served(f"http://127.0.0.1:{port}/api", service, sounds, temporary)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def catalogue(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo's catalogue, since other tests look at that."""
    return Path(
        shutil.copytree(demo / "catalogue", tmp_path_factory.mktemp("served") / "catalogue")
    )


@pytest.fixture(scope="module")
def served(catalogue: Path, demo: Path) -> Iterator[Served]:
    with serving(catalogue, demo / "sounds") as found:
        yield found


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as found:
        yield found
