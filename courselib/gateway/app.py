"""TGI's routes as a Starlette application."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from courselib.gateway import openai_routes, routes
from courselib.gateway.errors import ExtractorError, as_tgi_error
from courselib.gateway.state import Gateway

Handler = Callable[[Gateway, Request], Awaitable[Response]]
"""One method of one route."""

GET, POST = "GET", "POST"
KEYED: dict[str, Handler] = {
    "/": routes.compat_generate,
    "/generate": routes.generate,
    "/generate_stream": routes.generate_stream,
    "/tokenize": routes.tokenize,
    "/v1/chat/completions": openai_routes.chat_completions,
    "/v1/completions": openai_routes.completions,
}
OPEN: dict[str, Handler] = {
    "/": routes.health,
    "/health": routes.health,
    "/ping": routes.health,
    "/info": routes.info,
    "/metrics": routes.metrics,
    "/v1/models": routes.models,
    "/api-doc/openapi.json": routes.api_doc,
}


def make_app(gateway: Gateway) -> Starlette:
    """The application; ``gateway`` holds what its routes share."""
    handlers: dict[str, dict[str, Handler]] = {}
    for path, handler in OPEN.items():
        handlers.setdefault(path, {})[GET] = handler
    for path, handler in KEYED.items():
        handlers.setdefault(path, {})[POST] = _keyed(handler)
    handlers["/chat_tokenize"] = {POST: routes.chat_tokenize}  # which TGI leaves open

    def endpoint(by_method: dict[str, Handler]) -> Any:
        async def answer(request: Request) -> Response:
            handler = by_method[GET if request.method == "HEAD" else request.method]
            response = await _answer(handler, gateway, request)
            response.headers.update(gateway.headers)
            return response

        return answer

    async def empty(_request: Request, error: Exception) -> Response:
        """Unknown paths and wrong methods are answered without a body."""
        headers = {**(getattr(error, "headers", None) or {}), **gateway.headers}
        return Response(status_code=getattr(error, "status_code", 404), headers=headers)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await gateway.close()

    app = Starlette(
        routes=[Route(path, endpoint(by_method), methods=list(by_method)) for path, by_method in handlers.items()],
        exception_handlers={404: empty, 405: empty},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


async def _answer(handler: Handler, gateway: Gateway, request: Request) -> Response:
    try:
        return await handler(gateway, request)
    except ExtractorError as error:
        return Response(error.text, error.status, media_type="text/plain")
    except ClientDisconnect:
        gateway.service.metrics.count("tgi_request_failure", err="dropped")
        return Response(status_code=499)
    except Exception as cause:  # noqa: BLE001 - its own faults, too, are answered in TGI's shape
        told = as_tgi_error(cause)
        return JSONResponse(told.body(), told.status)


def _keyed(handler: Handler) -> Handler:
    """The same, for those who have the key; TGI compares without regard to case."""

    async def guarded(gateway: Gateway, request: Request) -> Response:
        if gateway.api_key:
            given = request.headers.get("authorization", "").lower().encode()
            if not hmac.compare_digest(given, f"Bearer {gateway.api_key}".lower().encode()):
                return Response(status_code=401)
        return await handler(gateway, request)

    return guarded
