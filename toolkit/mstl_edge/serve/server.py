"""A server over the application: started, announced, and ended by Ctrl-C."""

from __future__ import annotations

import importlib.util
import logging
import socket
from collections.abc import Callable
from typing import Any

from mstl_edge.errors import MissingExtraError, MstlEdgeError
from mstl_edge.installing import install_extra

EXTRA = "serve"
HEAD_SECONDS = 10.0
"""In which the head of a request must have arrived."""
_PACKAGES = ("starlette", "uvicorn", "python_multipart")


def require_packages() -> None:
    """Check that what serves is installed.

    Raises:
        MissingExtraError: It is not.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"the extra [{EXTRA}]", received=f"no {', no '.join(missing)}", hint=f"Install it: {install_extra(EXTRA)}"
        )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        MstlEdgeError: The address is none of this machine, or the port is taken or not allowed.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, OverflowError, UnicodeError) as error:
        raise MstlEdgeError(
            "an address and a port of this machine that are free",
            received=f"{host}:{port} ({getattr(error, 'strerror', None) or error})",
            hint="For example --port 8338; --port 0 takes any that is free.",
        ) from error
    return found


def run(app: object, on: socket.socket, connections: int, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    Args:
        app: From `api.make_app`.
        on: From `listening`.
        connections: At once.
        ready: Called when requests are answered.
    """
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        """Closes a connection whose first request has not begun in time: waiting costs one of few places."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._waiting = self.loop.call_later(HEAD_SECONDS, self._give_up)

        def connection_lost(self, exc: Exception | None) -> None:
            self._waiting.cancel()
            super().connection_lost(exc)

        def _give_up(self) -> None:
            if getattr(self, "cycle", None) is None:
                self.transport.close()

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # Starlette's own type, which is imported where it is used
        log_config=None,
        access_log=False,
        http=Patient,
        limit_concurrency=connections,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        server_header=False,
        lifespan="on",
    )
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    Announced(config).run(sockets=[on])
