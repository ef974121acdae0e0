"""Several search while one writes; tests/scaling does the same with more, and on a server."""

from db.catalogue import Catalogue
from db.writer import CatalogueWriter
from tests.db.many_readers import Churn, search_while_it_changes, searches_of


def test_readers_never_find_what_was_removed_and_never_fail(writer: CatalogueWriter) -> None:
    churn = Churn(writer)
    with Catalogue.open(writer.catalogue.location) as other:
        readers = [searches_of(writer.catalogue), searches_of(other)] * 2
        search_while_it_changes(churn, readers, n_batches=12)
