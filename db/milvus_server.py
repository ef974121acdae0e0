"""A Milvus server: what Echoic asks of it, and what goes wrong, in words.

One collection holds the vectors of one encoder. It has two fields: ``id``, the number of the
segment, and ``vector``, its float16 components as float32, which is exact and what every version of
Milvus can take. Everything is read with consistency level Strong: what was acknowledged is found.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from db.errors import CollectionGone, VectorIndexError
from db.server import shown

TOKEN_VARIABLE: Final = "ECHOIC_VECTORS_TOKEN"
"""Where the user and password, or the API key, of a server stand: ``user:password``."""

MOST_HITS: Final = 16_384
"""More hits than this Milvus gives to no query."""

TOKEN: Final = "echoic.fill"
"""The property of a collection that says which fill was the last; see `db.milvus_filled`."""

_ROWS_AT_ONCE: Final = 2000
_IDS_AT_ONCE: Final = 8192
_VECTORS_AT_ONCE: Final = 1024
_CONNECTING_S: Final = 10.0
_ANSWERING_S: Final = 120.0
# A connection that broke while nobody used it is made anew within a second or two.
_RECONNECTING_S: Final = 2.0
_BETWEEN_TRIES_S: Final = 0.2
# Milvus Lite breaks the connection with who pings it every ten seconds, as pymilvus does; and a
# client that waits longer and longer between two tries would miss a server's return by minutes.
_CONNECTION: Final = {
    "grpc.keepalive_time_ms": 300_000,
    "grpc.keepalive_permit_without_calls": False,
    "grpc.initial_reconnect_backoff_ms": 200,
    "grpc.max_reconnect_backoff_ms": 1000,
}
_NOT_CONNECTED: Final = 2
_NO_SUCH_COLLECTION: Final = 100
_NOT_LOADED: Final = 101


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What a server found for one query, the best first.

    Attributes
    ----------
    ids : ndarray, shape (n,), int64
    scores : ndarray, shape (n,), float32
        Inner products as the server has summed them.
    """

    ids: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)


class MilvusServer:
    """A connection to a Milvus server. Threads may share one; it connects again by itself.

    Parameters
    ----------
    uri : str
        As ``http://host:19530``.

    Raises
    ------
    VectorIndexError
        If the URI cannot be one, pymilvus is not installed, or the server does not answer.
    """

    def __init__(self, uri: str) -> None:
        self.uri = check_uri(uri)
        try:
            from pymilvus import MilvusClient
        except ModuleNotFoundError as error:
            raise VectorIndexError(
                f"the vectors are on the Milvus server {uri}, and pymilvus is not installed: "
                "install echoic[milvus]"
            ) from error
        # pymilvus runs this module itself at the first search, which fails where two threads do it
        # at once unless it was imported before.
        import scipy.sparse  # noqa: F401

        # It writes every error to standard error, with its trace, and raises it too.
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
        with self._words("reach"):
            self._client = _patiently(
                MilvusClient,
                uri,
                token=os.environ.get(TOKEN_VARIABLE, ""),
                timeout=_CONNECTING_S,
                grpc_options=_CONNECTION,
            )
            self.version = str(_patiently(self._client.get_server_version, timeout=_CONNECTING_S))

    @property
    def is_lite(self) -> bool:
        """Whether it is Milvus Lite, which goes through all vectors whatever index it is told."""
        return "lite" in self.version

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    # -- collections -----------------------------------------------------------------------

    def has(self, name: str) -> bool:
        """Tell whether there is a collection of this name."""
        with self._words("ask"):
            return bool(_patiently(self._client.has_collection, name, timeout=_ANSWERING_S))

    def collections(self) -> list[str]:
        """Return the names of all collections."""
        with self._words("ask"):
            return sorted(_patiently(self._client.list_collections, timeout=_ANSWERING_S))

    def create(
        self, name: str, dim: int, *, kind: str, parameters: dict[str, int], token: str = ""
    ) -> None:
        """Make an empty collection that is ready to be searched.

        Parameters
        ----------
        kind, parameters
            The index over the vectors, in Milvus's words: ``"IVF_FLAT"``, ``{"nlist": 1024}``.
        token
            See `token`.
        """
        from pymilvus import DataType

        with self._words("make a collection on"):
            schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
            indexes = self._client.prepare_index_params()
            indexes.add_index("vector", index_type=kind, metric_type="IP", params=parameters)
            _patiently(
                self._client.create_collection,
                name,
                schema=schema,
                index_params=indexes,
                consistency_level="Strong",
                properties={TOKEN: token} if token else {},
                timeout=_ANSWERING_S,
            )

    def token(self, name: str) -> str:
        """Return the token that a collection was given last; empty if it was given none.

        Raises
        ------
        CollectionGone
            If there is no such collection.
        """
        with self._words("ask"):
            described = _patiently(self._client.describe_collection, name, timeout=_ANSWERING_S)
        return str(described.get("properties", {}).get(TOKEN, ""))

    def set_token(self, name: str, token: str) -> None:
        """Give a collection another token, which all who ask from now on are told."""
        with self._words("write to"):
            _patiently(
                self._client.alter_collection_properties,
                name,
                properties={TOKEN: token},
                timeout=_ANSWERING_S,
            )

    def drop(self, name: str) -> None:
        """Remove a collection, if it is there."""
        with self._words("remove a collection from"):
            _patiently(self._client.drop_collection, name, timeout=_ANSWERING_S)

    def dim(self, name: str) -> int:
        """Return how many components the vectors of a collection have; 0 if it has no vectors."""
        with self._words("ask"):
            described = _patiently(self._client.describe_collection, name, timeout=_ANSWERING_S)
        fields = {field["name"]: field for field in described["fields"]}
        return int(fields.get("vector", {}).get("params", {}).get("dim", 0))

    def index_kind(self, name: str) -> str:
        """Return the type of the index over the vectors of a collection."""
        with self._words("ask"):
            return str(_patiently(self._client.describe_index, name, "vector")["index_type"])

    # -- rows ------------------------------------------------------------------------------

    def count(self, name: str) -> int:
        """Count the vectors of a collection."""
        with self._words("ask"):
            rows = self._loaded(name, self._client.query, filter="", output_fields=["count(*)"])
        return int(rows[0]["count(*)"])

    def ids(self, name: str) -> NDArray[np.int64]:
        """Return the ids of all vectors of a collection, ascending. Takes long if it is great."""
        parts = [np.empty(0, dtype=np.int64)]
        with self._words("read"):
            pages = self._loaded(
                name, self._client.query_iterator, batch_size=_IDS_AT_ONCE, output_fields=["id"]
            )
            while page := pages.next():
                parts.append(np.fromiter((row["id"] for row in page), dtype=np.int64))
            pages.close()
        return np.unique(np.concatenate(parts))

    def put(self, name: str, ids: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Store vectors, in the place of those that have the same ids. Doing it again is no harm.

        When it fails, some may be there and some not.
        """
        with self._words("write to"):
            for start in range(0, len(ids), _ROWS_AT_ONCE):
                part = slice(start, start + _ROWS_AT_ONCE)
                wide = vectors[part].astype(np.float32)
                rows = [
                    {"id": number, "vector": vector}
                    for number, vector in zip(ids[part].tolist(), wide, strict=True)
                ]
                self._loaded(name, self._client.upsert, data=rows)

    def delete(self, name: str, ids: NDArray[np.int64]) -> None:
        """Remove vectors; ids that are not there are passed over."""
        with self._words("remove vectors from"):
            for start in range(0, len(ids), _IDS_AT_ONCE):
                some = ids[start : start + _IDS_AT_ONCE].tolist()
                self._loaded(name, self._client.delete, ids=some)

    def flush(self, name: str) -> None:
        """Let the server put away what it has in memory."""
        with self._words("write to"):
            _patiently(self._client.flush, name, timeout=_ANSWERING_S)

    # -- searching -------------------------------------------------------------------------

    def search(
        self,
        name: str,
        queries: NDArray[np.float32],
        limit: int,
        *,
        condition: str = "",
        parameters: dict[str, int] | None = None,
    ) -> list[Hits]:
        """Find the vectors with the greatest inner product to each query.

        Parameters
        ----------
        limit : int
            At most `MOST_HITS`.
        condition : str
            On ``id``, in Milvus's words.
        parameters
            Of the index, as ``{"nprobe": 16}``.
        """
        with self._words("search"):
            found = self._loaded(
                name,
                self._client.search,
                data=queries,
                limit=limit,
                filter=condition,
                output_fields=["id"],
                search_params={"metric_type": "IP", "params": parameters or {}},
            )
        return [_hits(each) for each in found]

    def vectors(
        self, name: str, ids: NDArray[np.int64], dim: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Return vectors with their ids, in any order; ids that are not there are left out."""
        numbers: list[int] = []
        rows: list[Any] = []
        with self._words("read"):
            for start in range(0, len(ids), _VECTORS_AT_ONCE):
                some = ids[start : start + _VECTORS_AT_ONCE].tolist()
                found = self._loaded(
                    name,
                    self._client.query,
                    filter=f"id in {some}",
                    output_fields=["id", "vector"],
                )
                for row in found:
                    numbers.append(row["id"])
                    rows.append(np.asarray(row["vector"], dtype=np.float32))
        vectors = np.array(rows, dtype=np.float16).reshape(len(rows), dim)
        return np.array(numbers, dtype=np.int64), vectors

    # -- inside ----------------------------------------------------------------------------

    def _loaded(self, name: str, call: Callable[..., Any], **options: Any) -> Any:
        """Call it, after loading the collection if need be: a server that was restarted has not."""
        from pymilvus.exceptions import MilvusException

        try:
            return _patiently(call, name, timeout=_ANSWERING_S, **options)
        except MilvusException as error:
            if error.code != _NOT_LOADED:
                raise
        _patiently(self._client.load_collection, name, timeout=_ANSWERING_S)
        return call(name, timeout=_ANSWERING_S, **options)

    @contextmanager
    def _words(self, doing: str) -> Iterator[None]:
        """Turn what pymilvus raises into an error that says what to do."""
        import grpc
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, grpc.RpcError) as error:
            code = getattr(error, "code", None)
            reason = str(getattr(error, "message", "") or error).strip().partition("\n")[0]
            if code == _NO_SUCH_COLLECTION or "can't find collection" in reason:
                raise CollectionGone(
                    f"a collection is gone from the Milvus server {self.uri} ({reason}): "
                    "`echoic repair` fills it anew from the database"
                ) from error
            raise VectorIndexError(
                f"cannot {doing} the Milvus server {self.uri} ({reason}): see that it runs and can "
                "be reached from here"
            ) from error


def check_uri(uri: str) -> str:
    """Return the URI of a Milvus server.

    Raises
    ------
    VectorIndexError
        If it cannot be one, or holds a password: it is stored, and shown in messages.
    """
    try:
        parts = urlsplit(uri)
        host, secret = parts.hostname, "@" in parts.netloc or parts.query or parts.fragment
        _ = parts.port
    except ValueError:
        host, secret = None, None
    # Given a path, pymilvus would start a server of its own.
    if not host or not uri.startswith(("http://", "https://")):
        raise VectorIndexError(
            "vectors can be kept on a Milvus server, named as http://HOST:19530, or in files, "
            f"named by the word files; not in {shown(uri)!r}"
        )
    if secret:
        raise VectorIndexError(
            f"leave user, password and token out of the address of the Milvus server {host}, which "
            "is stored in the catalogue and ends with its port: put USER:PASSWORD into "
            f"{TOKEN_VARIABLE}"
        )
    return uri


def _patiently(call: Callable[..., Any], *values: Any, **options: Any) -> Any:
    """Call it; again for two seconds if there is no connection, as after the server's restart."""
    from pymilvus.exceptions import MilvusException

    until = time.monotonic() + _RECONNECTING_S
    while True:
        try:
            return call(*values, **options)
        except MilvusException as error:
            if error.code != _NOT_CONNECTED or time.monotonic() > until:
                raise
        time.sleep(_BETWEEN_TRIES_S)


def _hits(found: Any) -> Hits:
    ids: Sequence[int] = found.ids
    scores: Sequence[float] = found.distances
    return Hits(np.array(ids, dtype=np.int64), np.array(scores, dtype=np.float32))
