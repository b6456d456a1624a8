"""What a browser finds."""

from ..support.server import PASSWORD, USERNAME
from .conftest import Api


def test_a_browser_is_told_where_things_are(client):
    answer = client.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    for place in ("/health/ready", "/api/openapi.json", "/ocpp", "/api/auth/login"):
        assert place in answer.text
    assert client.post("/").status_code == 405
    assert client.get("/favicon.ico").status_code == 404


def test_answers_are_taken_for_what_they_are_and_kept_by_nobody(api: Api) -> None:
    for path in ("/api/chargers", "/api/nothing", "/health/live", "/"):
        assert api.client.get(path, headers=api.auth).headers["X-Content-Type-Options"] == "nosniff"
    login = {"username": USERNAME, "password": PASSWORD}
    for answer in (
        api.client.post("/api/auth/login", json=login),
        api.client.post("/api/auth/login", json={}),
        api.client.get("/api/chargers"),
        api.get("/api/chargers"),
    ):
        assert answer.headers["Cache-Control"] == "no-store"


def test_behind_tls_a_browser_comes_back_over_tls(api: Api) -> None:
    secure = {"wsgi.url_scheme": "https"}
    assert "max-age" in api.client.get("/", environ_overrides=secure).headers["Strict-Transport-Security"]
    assert "Strict-Transport-Security" not in api.client.get("/").headers
