"""What a browser finds."""


def test_a_browser_is_told_where_things_are(client):
    answer = client.get("/", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert answer.mimetype == "text/html"
    for place in ("/health/ready", "/api/openapi.json", "/ocpp", "/api/auth/login"):
        assert place in answer.text
    assert client.post("/").status_code == 405
    assert client.get("/favicon.ico").status_code == 404
