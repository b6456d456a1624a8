"""What every answer tells browsers and caches: take it for what it is, keep no data, come back over TLS."""

from flask import Flask, Response, request

#: A year, as the preload lists of browsers want it.
_HSTS = "max-age=31536000; includeSubDomains"


def register(app: Flask) -> None:
    app.after_request(_add)


def _add(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.path.startswith("/api/"):
        response.headers["Cache-Control"] = "no-store"
    if request.is_secure:  # by TRUSTED_PROXIES' word: TLS ends there
        response.headers["Strict-Transport-Security"] = _HSTS
    return response
