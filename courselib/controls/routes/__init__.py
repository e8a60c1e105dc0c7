"""All routes by name, and those of an engine's servers."""

from __future__ import annotations

from courselib.controls.route import Route
from courselib.controls.routes import llamacpp, llamacpp_native, tgi, vllm

ROUTES: dict[str, Route] = {
    route.name: route for module in (llamacpp, llamacpp_native, vllm, tgi) for route in module.ROUTES
}


def routes_of(engine: str) -> list[Route]:
    """The routes of an engine's servers, by the name of its launcher; libraries are left out."""
    return [route for route in ROUTES.values() if engine in route.engines and route.path]


def chat_route(engine: str) -> Route:
    """The route by which an engine's servers chat; llama.cpp's, which is plain OpenAI, for an engine not known here."""
    return next((route for route in routes_of(engine) if route.takes == "messages"), ROUTES["llama.cpp chat"])
