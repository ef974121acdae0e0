"""The index of fingerprints, in files and in parts, on every kind of database."""

from collections.abc import Iterator

import pytest

from db.archive_frames import ArchiveFrames
from db.catalogue import Catalogue
from db.fingerprint_index import FingerprintIndex, save_fingerprint_index
from db.partitioned_index import PartitionedIndex
from db.writer import CatalogueWriter
from tests.conformance.fingerprints import KEY_BITS, FingerprintIndexSuite, PartsInProcess
from tests.db.conftest import SCHEME, expand


class TestInFiles(FingerprintIndexSuite):
    """All of the index in files of this machine."""

    def open(self, catalogue: Catalogue) -> ArchiveFrames:
        return FingerprintIndex.open(catalogue, SCHEME.name, expand, key_bits=KEY_BITS)

    def keep(self, writer: CatalogueWriter) -> None:
        save_fingerprint_index(writer, SCHEME.name, expand, key_bits=KEY_BITS)


class TestInParts(FingerprintIndexSuite):
    """Three parts, each with files of its own."""

    @pytest.fixture(autouse=True)
    def parts(self, catalogue: Catalogue) -> Iterator[PartsInProcess]:
        self._parts = PartsInProcess(catalogue, 3)
        yield self._parts
        self._parts.close()

    def open(self, catalogue: Catalogue) -> PartitionedIndex:
        return PartitionedIndex.open(
            catalogue, SCHEME.name, expand, key_bits=KEY_BITS, connect=lambda: self._parts
        )

    def keep(self, writer: CatalogueWriter) -> None:
        assert self.open(writer.catalogue).prepare() == []
