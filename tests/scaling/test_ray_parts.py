"""The index of fingerprints in parts on a Ray cluster passes the suite that any such index does.

In a module of its own: where a cluster does not start at once and a test is run again, pytest keeps
the second machine, which is one for the whole class, until the module ends.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from db.catalogue import Catalogue
from db.fingerprint_location import OnCluster
from db.partitioned_index import PartitionedIndex
from db.writer import CatalogueWriter
from tests.conformance.fingerprints import KEY_BITS, FingerprintIndexSuite
from tests.db.conftest import SCHEME, expand
from tests.scaling.conftest import another_machine, on_machine


class TestOnRay(FingerprintIndexSuite):
    """Three parts on two machines; the database is PostgreSQL."""

    @pytest.fixture
    def writer(self, url: str) -> Iterator[CatalogueWriter]:
        with Catalogue.open(url, create=True) as catalogue, CatalogueWriter(catalogue) as writer:
            yield writer

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def other(cls, cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
        machine = on_machine(tmp_path_factory.mktemp("other"))
        with another_machine(cluster, env_vars=machine) as node:
            yield node

    @pytest.fixture(autouse=True)
    def place(self, here: OnCluster, writer: CatalogueWriter) -> Iterator[None]:
        from indexer.ray_parts import end_parts

        self._cluster = here
        yield
        end_parts(writer.catalogue, here)

    def open(self, catalogue: Catalogue) -> PartitionedIndex:
        from indexer.ray_parts import RayParts

        return PartitionedIndex.open(
            catalogue,
            SCHEME.name,
            expand,
            key_bits=KEY_BITS,
            connect=lambda: RayParts(
                catalogue, self._cluster, SCHEME.name, expand, key_bits=KEY_BITS
            ),
        )

    def keep(self, writer: CatalogueWriter) -> None:
        assert self.open(writer.catalogue).prepare() == []
