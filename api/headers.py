"""What every answer tells the browser that it may not do with it."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
_PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
    " connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_A_YEAR_S = 31_536_000


class SafeHeaders:
    """Adds them where an endpoint has not said otherwise. No answer of the API is kept by a cache."""

    def __init__(self, app: ASGIApp, *, secure: bool, unrestricted_path: str = "") -> None:
        self._app = app
        self._always = _ALWAYS | (
            {"Strict-Transport-Security": f"max-age={_A_YEAR_S}; includeSubDomains"} if secure else {}
        )
        self._unrestricted_path = unrestricted_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._always.items():
                    headers.setdefault(name, value)
                is_api = path.startswith("/api/")
                if path != self._unrestricted_path:
                    headers.setdefault("Content-Security-Policy", _NOTHING if is_api else _PAGE)
                if is_api:
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, guarded)
