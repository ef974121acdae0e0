"""What the server of the pages says in the terminal."""

import asyncio
import io
import logging
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.types import Message
from starlette.websockets import WebSocket

from ui.web.server import _NoLeavers


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What uvicorn's own logger writes, as `echoic ui` sets it up."""
    logger, heard, filtered = logging.getLogger("uvicorn.error"), io.StringIO(), _NoLeavers()
    handler = logging.StreamHandler(heard)
    logger.addFilter(filtered)
    uvicorn.Config("nothing:at_all").configure_logging()  # which keeps the filter
    logger.addHandler(handler)
    yield heard
    logger.removeHandler(handler)
    logger.removeFilter(filtered)


def left_while_connecting() -> Exception:
    """Return what Starlette raises when a visitor has left before a page was connected."""

    async def nothing() -> Message:
        return {"type": "websocket.connect"}

    async def lost(message: Message) -> None:
        raise AssertionError(message)

    socket = WebSocket({"type": "websocket"}, receive=nothing, send=lost)
    with pytest.raises(RuntimeError) as raised:
        asyncio.run(socket.receive_bytes())
    return raised.value


def test_a_visitor_who_leaves_while_connecting_leaves_no_traceback(said: io.StringIO) -> None:
    logger = logging.getLogger("uvicorn.error")
    logger.error("Exception in ASGI application", exc_info=left_while_connecting())
    assert said.getvalue() == ""
    logger.error("Exception in ASGI application", exc_info=ValueError("a fault of ours"))
    logger.error("and this")
    assert "a fault of ours" in said.getvalue()
    assert said.getvalue().endswith("and this\n")
