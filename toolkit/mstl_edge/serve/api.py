"""The routes: the page and its two files, the interface to programs, reports that lie beside a model."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from mstl_edge import __version__
from mstl_edge.preprocess import Stored
from mstl_edge.serve.answering import Asked, BusyError, GoneError, Model
from mstl_edge.serve.guard import Access, Guard
from mstl_edge.serve.limits import Budget, Held, Limits, RateLimiter
from mstl_edge.serve.openapi import openapi
from mstl_edge.serve.upload import UploadError, read_upload

SCHEMA = "mstl-edge/serve/1"
PAGE = {
    "/": ("index.html", "text/html"),
    **{f"/{name}": (name, "text/javascript") for name in ("app.js", "csv.js", "map.js")},
    "/style.css": ("style.css", "text/css"),
}
RETRY_BUSY_S = 2
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
_TRUTH = {"": False, "0": False, "false": False, "1": True, "true": True}


def make_app(
    models: Sequence[Model], access: Access, limits: Limits = Limits(), reports: Mapping[str, Path] | None = None
) -> Starlette:
    """Return the application.

    Args:
        models: One, or two to compare.
        access: Who may ask.
        limits: What may be asked for.
        reports: HTML files to link, by what they are called.
    """
    told, limiter, budget = dict(reports or {}), RateLimiter(limits), Budget(limits.memory_bytes)

    async def predict(request: Request) -> Response:
        client = request.client.host if request.client else ""
        if wait := limiter.wait(client):
            return _refused(429, "fewer images a second", retry=math.ceil(wait))
        model, explain, frame = _chosen(request, models)
        with budget.held() as held:
            return await answered(request, held, model, explain, frame)

    async def answered(request: Request, held: Held, model: Model, explain: bool, frame: int | None) -> Response:
        upload = await read_upload(request, limits, held)
        asked = Asked(Stored(upload.content, frame), upload.name, explain)
        listening = asyncio.create_task(_gone(request, asked))
        try:
            record = await model.answer(asked)
        finally:
            listening.cancel()
        return JSONResponse(record, 422 if "error" in record else 200)

    async def card(_: Request) -> Response:
        return JSONResponse({
            "schema": SCHEMA,
            "version": __version__,
            "models": [model.about() for model in models],
            "reports": [{"title": title, "address": f"/v1/reports/{n}"} for n, title in enumerate(told)],
            "limits": {"upload_bytes": limits.upload_bytes},
        })  # fmt: skip

    async def report(request: Request) -> Response:
        number = request.path_params["number"]
        if number >= len(told):
            raise HTTPException(404)
        try:
            content = await asyncio.to_thread(list(told.values())[number].read_bytes)
        except OSError:
            raise HTTPException(404) from None
        return HTMLResponse(content, headers={"content-security-policy": _REPORT_POLICY})

    async def describe(_: Request) -> Response:
        return JSONResponse(openapi(len(models), limits, token=bool(access.token)))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        yield
        for model in models:
            model.close()

    return Starlette(
        routes=[
            *(Route(address, _page(*file), methods=["GET"]) for address, file in PAGE.items()),
            Route("/v1/predict", predict, methods=["POST"]),
            Route("/v1/card", card, methods=["GET"]),
            Route("/v1/reports/{number:int}", report, methods=["GET"]),
            Route("/openapi.json", describe, methods=["GET"]),
        ],
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={
            UploadError: lambda _, error: _refused(
                error.status, str(error), RETRY_BUSY_S if error.status == 503 else None
            ),
            BusyError: lambda *_: _refused(503, "expected fewer images at once", retry=RETRY_BUSY_S),
            GoneError: lambda *_: Response(status_code=499),
            HTTPException: lambda _, error: _refused(error.status_code, error.detail),
        },
        lifespan=lifespan,
    )


def _page(name: str, kind: str) -> Any:
    content = resources.files("mstl_edge.serve").joinpath("page", name).read_bytes()

    async def served(_: Request) -> Response:
        return Response(content, media_type=kind)

    return served


def _chosen(request: Request, models: Sequence[Model]) -> tuple[Model, bool, int | None]:
    """Return the model that is asked, whether to explain, and which frame of several, counted from 0.

    Raises:
        UploadError: There is no such model, or the option is none.
    """
    number, explain = request.query_params.get("model", "0"), request.query_params.get("explain", "").lower()
    frame = request.query_params.get("frame", "")
    if not _is_number(number) or int(number) >= len(models):
        raise UploadError(422, f"expected a model from 0 to {len(models) - 1}. Received: {number[:40]}")
    if explain not in _TRUTH:
        raise UploadError(422, f"expected explain=true or explain=false. Received: {explain[:40]}")
    if frame and (not _is_number(frame) or int(frame) < 1):
        raise UploadError(422, f"expected frame=1 or more. Received: {frame[:40]}")
    return models[int(number)], _TRUTH[explain], int(frame) - 1 if frame else None


def _is_number(text: str) -> bool:
    return len(text) <= 9 and text.isascii() and text.isdecimal()


async def _gone(request: Request, asked: Asked) -> None:
    """Mark an image whose client has gone, so that its turn is passed over."""
    while not await request.is_disconnected():
        await asyncio.sleep(0.25)
    asked.gone = True


def _refused(status: int, message: str, retry: int | None = None) -> JSONResponse:
    headers = {} if retry is None else {"retry-after": str(retry)}
    told = message if message.startswith("expected") or status in (404, 405) else f"expected {message}"
    return JSONResponse({"error": told}, status, headers=headers)
