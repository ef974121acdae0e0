"""Small archives, indexed on the spot by the real pipeline."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.catalogue import Catalogue
from db.writer import CatalogueWriter
from indexer.encoders import DEFAULT_ENCODER
from indexer.fingerprint import DEFAULT_FINGERPRINTER
from indexer.pipeline import run
from indexer.plan import Wanted
from indexer.sources import folder_source


@contextmanager
def indexed(folder: Path, place: Path) -> Iterator[Catalogue]:
    """Index a folder of sounds into a new catalogue, with vectors and fingerprints."""
    with Catalogue.open(place, create=True) as catalogue:
        with CatalogueWriter(catalogue) as writer:
            run(
                writer,
                [folder_source(writer, folder)],
                Wanted((DEFAULT_ENCODER,), (DEFAULT_FINGERPRINTER,)),
                n_workers=1,
                on_event=lambda event: None,
                stop=threading.Event(),
            )
        yield catalogue
