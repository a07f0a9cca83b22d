"""Who may ask: this machine's own page, whoever has the token, and no other site through a visitor's browser."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
API = "/v1/"
COOKIE = "mstl_edge_token"
_POLICY = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' blob: data:", "connect-src 'self'",
    "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'",
))  # fmt: skip
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-frame-options": "DENY",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        host: The address that is listened on.
        token: What must be sent as `Authorization: Bearer`; empty: nothing, which loopback alone allows.
    """

    host: str
    token: str = ""


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine alone."""
    return host in LOOPBACK or host.startswith("127.")


class Guard:
    """Refuses requests that are not meant for this server, and adds the headers that keep a browser strict.

    A request to another host name is refused on loopback, since a foreign site may let its name point here (DNS rebinding); with a
    token any name will do. One that another site made a browser send is refused by what the browser says of it.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused request, pass any other on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        headers = Headers(scope=scope)
        refusal = self._refusal(scope["path"], headers)
        # So that a link, which sends no header of its own, opens too.
        known = refusal is None and bool(self._access.token) and self._by_header(headers)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    sent.setdefault(name, value)
                if known:
                    sent.append("set-cookie", f"{COOKIE}={self._access.token}; HttpOnly; SameSite=Strict; Path={API}")
            await send(message)

        await (refusal or self._app)(scope, receive, guarded)

    def _by_header(self, headers: Headers) -> bool:
        return self._is_token(headers.get("authorization", "").removeprefix("Bearer "))

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._access.token.encode())

    def _refusal(self, path: str, headers: Headers) -> JSONResponse | None:
        host = headers.get("host", "")
        if not self._access.token and _name_of(host) not in {*LOOPBACK, self._access.host}:
            return _refused(421, "a request to this machine by its own name")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and path.startswith(API):
            return _refused(403, "a request that no other site has made")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return _refused(403, "a request that no other site has made")
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        if path.startswith(API) and self._access.token and not (self._by_header(headers) or self._is_token(cookie)):
            response = _refused(401, "the server's token, as 'Authorization: Bearer TOKEN'")
            response.headers["www-authenticate"] = "Bearer"
            return response
        return None


def _name_of(host: str) -> str:
    """Return the name in a `Host` header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _refused(status: int, expected: str) -> JSONResponse:
    return JSONResponse({"error": f"expected {expected}"}, status)
