"""What remote storage raises, in words: what is wrong, and what a user does about it.

Nothing of a protocol is loaded here: what its package raises is known by its name, and by the code
that the storage itself gave.
"""

import errno
import os
import socket
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from db.errors import StorageError, StorageForbidden, StorageUnreachable

_S3: Final = ("s3", "s3a")

_AWAY: Final = (ConnectionError, TimeoutError, socket.gaierror)
_AWAY_NAMES: Final = frozenset(
    {
        "ClientConnectorError",
        "ClientOSError",
        "ClientPayloadError",
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "EndpointConnectionError",
        "FSTimeoutError",
        "HTTPClientError",
        "IncompleteRead",
        "ProxyConnectionError",
        "ReadTimeoutError",
        "ServerDisconnectedError",
    }
)
_AWAY_ERRNOS: Final = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN)
_BUSY_CODES: Final = frozenset(
    {
        "429",
        "503",
        "OperationAborted",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
    }
)
_AWAY_CODES: Final = frozenset({"500", "502", "504", "InternalError", "RequestTimeout"})

_KEYS: Final = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_RIGHTS: Final = (
    "the storage forbids it: the key needs s3:ListBucket and s3:GetObject there; or look for a "
    f"slip in {_KEYS}"
)
_REGION: Final = (
    "its bucket is in another region, or at another storage: set AWS_DEFAULT_REGION, or "
    "AWS_ENDPOINT_URL where the storage is not Amazon's"
)
_EXPIRED: Final = "the credentials have expired: get new ones, and run the command again"
_NO_CREDENTIALS: Final = (
    f"there are no credentials for it: set {_KEYS}, or AWS_PROFILE for some of ~/.aws; for a "
    "bucket that anybody may read, FSSPEC_S3_ANON=true"
)

_BY_CODE: Final = {
    "InvalidAccessKeyId": "the storage does not know the access key: look for a slip in "
    "AWS_ACCESS_KEY_ID or AWS_PROFILE, or in AWS_ENDPOINT_URL where the storage is not Amazon's",
    "SignatureDoesNotMatch": "the secret is not that of the access key: look for a slip in "
    "AWS_SECRET_ACCESS_KEY or AWS_PROFILE",
    "ExpiredToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "InvalidToken": "the storage does not take AWS_SESSION_TOKEN: get new credentials",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it",
    "InvalidObjectState": "it is in an archive of the storage: have it restored there first",
    "InvalidBucketName": "a bucket cannot have this name: write it as s3://BUCKET/FOLDER",
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "403"), _RIGHTS),
    **dict.fromkeys(
        (
            "301",
            "307",
            "400",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "PermanentRedirect",
            "TemporaryRedirect",
        ),
        _REGION,
    ),
}
_BY_NAME: Final = {
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": _NO_CREDENTIALS,
    "CredentialRetrievalError": _NO_CREDENTIALS,
    "ProfileNotFound": "there is no such profile in ~/.aws: look for a slip in AWS_PROFILE",
    "SSLError": "the storage does not speak TLS as it should: AWS_ENDPOINT_URL begins with http:// "
    "where it speaks none, and AWS_CA_BUNDLE names the certificate of one that signs its own",
}
_BY_TEXT: Final = {
    "Invalid bucket name": _BY_CODE["InvalidBucketName"],
    "Invalid endpoint": "AWS_ENDPOINT_URL is no URL: write it as https://HOST:PORT",
}


def in_words(error: Exception, address: str) -> StorageError:
    """Return what is to be told of something that a storage's package raised."""
    chain = list(_chain(error))
    named = {type(link).__name__ for link in chain}
    codes = {code for link in chain if (code := _code(link))}
    is_forbidden = any(isinstance(link, PermissionError) for link in chain)
    for known, found in ((_BY_CODE, codes), (_BY_NAME, named)):
        for name in sorted(known.keys() & found):
            return _fault(address, known[name], is_forbidden=is_forbidden)
    if is_forbidden:
        return _fault(address, _said(error), is_forbidden=True)
    if codes & _BUSY_CODES:
        return StorageUnreachable(
            f"{address} cannot be read from its storage now: it is too busy, and asks to be asked "
            "less often: try again later, or with fewer --workers"
        )
    if codes & _AWAY_CODES or named & _AWAY_NAMES or any(map(_is_away, chain)):
        return StorageUnreachable(
            f"{address} cannot be read from its storage: {_where(chain)} does not answer "
            f"({_deepest(chain)}): look at the network{_endpoint(address)}"
        )
    said = next((told for text, told in _BY_TEXT.items() if text in str(error)), _said(error))
    return _fault(address, said, is_forbidden=False)


def _is_away(error: BaseException) -> bool:
    if isinstance(error, OSError) and error.errno in _AWAY_ERRNOS:
        return True
    return isinstance(error, _AWAY)


def _fault(address: str, said: str, *, is_forbidden: bool) -> StorageError:
    if is_forbidden:
        return StorageForbidden(f"{address} may not be read: {said}")
    return StorageError(f"{address} cannot be read from its storage: {said}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _code(error: BaseException) -> str:
    """Return the code of an answer of S3."""
    answer = getattr(error, "response", None)
    told = answer.get("Error") if isinstance(answer, dict) else None
    return str(told.get("Code", "")) if isinstance(told, dict) else ""


def _said(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__


def _deepest(chain: list[BaseException]) -> str:
    """Return what the system said, which is short; what packages make of it is not."""
    for error in reversed(chain):
        if isinstance(error, OSError) and error.errno:
            is_name = isinstance(error, socket.gaierror)
            return str(error.strerror) if is_name else os.strerror(error.errno)
    told = (said for error in reversed(chain) if (said := str(error).strip()))
    return next(told, type(chain[0]).__name__)


def _where(chain: list[BaseException]) -> str:
    for error in chain:
        told = getattr(error, "kwargs", None)
        if isinstance(told, dict) and "endpoint_url" in told:
            return urlsplit(str(told["endpoint_url"])).netloc
    return "it"


def _endpoint(address: str) -> str:
    is_s3 = address.partition(":")[0] in _S3
    return ", and for a slip in AWS_ENDPOINT_URL" if is_s3 else ""
