"""What remote storage raises, in words; the shapes are those of botocore and aiohttp."""

import errno

import pytest

from db.errors import StorageForbidden, StorageUnreachable
from db.storage_faults import in_words

ADDRESS = "s3://tapes/one.wav"


class ClientError(Exception):
    """As botocore has it: the code is within the answer."""

    def __init__(self, code: str) -> None:
        super().__init__(f"An error occurred ({code}) when calling the GetObject operation")
        self.response = {"Error": {"Code": code}}


@pytest.mark.parametrize("code", ["SlowDown", "429", "503", "TooManyRequests", "Throttling"])
def test_a_storage_that_is_too_busy_is_waited_for(code: str) -> None:
    told = in_words(ClientError(code), ADDRESS)
    assert isinstance(told, StorageUnreachable)
    assert "too busy" in str(told)
    assert "network" not in str(told)


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ECONNRESET])
def test_a_network_that_is_down_is_waited_for(number: int) -> None:
    told = in_words(OSError(number, "the network is down"), ADDRESS)
    assert isinstance(told, StorageUnreachable)


def test_what_is_forbidden_is_not_waited_for() -> None:
    told = in_words(PermissionError("AccessDenied"), ADDRESS)
    assert isinstance(told, StorageForbidden)
    assert not isinstance(told, StorageUnreachable)
