"""People sign in at a real identity provider, and machines bring its tokens: the npm package `oidc-provider`."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from charger_mgmt.access import provider as provider_module
from tests.api.test_roles import OPERATIONS, path_of
from tests.support.provider import AUDIENCE, Browser, Provider
from tests.support.server import GunicornServer

pytestmark = [pytest.mark.wire, pytest.mark.peer]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GunicornServer]:
    """A server that knows the provider; `server.provider` is that."""
    url = f"sqlite:///{tmp_path_factory.mktemp('provider') / 'chargers.sqlite3'}"
    running = GunicornServer(url)
    running.provider = provider = Provider(running.url)
    running.environ |= provider.environ | {
        "OIDC_SITES_CLAIM": "sites",
        "OIDC_LEEWAY_SECONDS": "5",
        "ACCESS_LOG": "on",
    }
    try:
        provider.start()
        with running:
            running.post("/api/sites", {"name": "Harbour"})
            running.post("/api/chargers", {"chargerId": "AT-HARBOUR", "siteId": 1})
            running.post("/api/chargers", {"chargerId": "ELSEWHERE"})
            yield running
            assert running.alarms() == []
    finally:
        provider.stop()


@pytest.fixture
def provider(server: GunicornServer) -> Provider:
    return server.provider


def sign_in(server: GunicornServer, login: str) -> requests.Response:
    return Browser().sign_in(f"{server.url}/api/auth/provider", login)


def begun(server: GunicornServer, login: str = "ann admins *") -> tuple[Browser, str]:
    """A browser that has signed in, and the address that the provider sends it back to, which it has not opened yet."""
    browser = Browser()
    callback = f"{server.url}/api/auth/provider/callback"
    answer = browser.sign_in(f"{server.url}/api/auth/provider", login, stop_before=callback)
    return browser, answer.headers["Location"]


def me(server: GunicornServer, token: str) -> Any:
    answer = server.get("/api/auth/me", token=token)
    return answer.json if answer.status == 200 else answer.status


def test_somebody_signs_in_and_is_what_the_provider_says(server: GunicornServer) -> None:
    answer = sign_in(server, "ann admins,guests *")
    assert answer.status_code == 200, answer.text
    tokens = answer.json()
    assert me(server, tokens["accessToken"]) == {
        "username": "ann",
        "role": "admin",
        "sites": None,
        "by": "log-in",
    }
    again = server.post("/api/auth/refresh", token=tokens["refreshToken"])
    assert again.status == 200
    entries = server.get("/api/audit?username=ann").json
    assert [(each["action"], each["by"], each["result"]) for each in entries] == [
        ("endSignIn", "log-in", "done"),
        ("userOfProvider", "provider", "done"),
    ]


def test_somebody_is_limited_to_the_sites_that_the_provider_names(server: GunicornServer) -> None:
    token = sign_in(server, "bob staff Harbour,Nowhere").json()["accessToken"]
    assert me(server, token)["sites"] == [1]
    assert [each["identity"] for each in server.get("/api/chargers", token=token).json] == ["AT-HARBOUR"]
    assert server.get("/api/chargers/ELSEWHERE", token=token).status == 404
    # Where sites are told, who is told none has none.
    token = sign_in(server, "beth staff").json()["accessToken"]
    assert server.get("/api/chargers", token=token).json == []


def test_an_account_of_the_provider_gets_no_key(server: GunicornServer) -> None:
    sign_in(server, "gustav admins *")
    key = {"username": "gustav", "name": "k", "role": "viewer"}
    assert server.post("/api/keys", key).status == 409
    assert server.post("/api/users/gustav/reset-link").status == 409


@pytest.mark.parametrize("login", ["carl - *", "carl strangers *"])
def test_who_has_no_role_here_does_not_get_in(server: GunicornServer, login: str) -> None:
    answer = sign_in(server, login)
    assert (answer.status_code, answer.json()["code"]) == (401, "login-refused")
    assert [each["username"] for each in server.get("/api/users").json if each["username"] == "carl"] == []


def test_a_namesake_is_somebody_else(server: GunicornServer) -> None:
    """The provider's "operator" is not the account that has this name here, and gets nothing of it."""
    token = sign_in(server, "operator guests *").json()["accessToken"]
    shown = me(server, token)
    assert shown["username"].startswith("operator (")
    assert shown["role"] == "viewer"
    assert me(server, server.token())["role"] == "admin"
    # What happened is said of the namesake, and nothing of the account whose name it would have liked.
    acts = server.get("/api/audit?action=userOfProvider&username=operator").json
    assert acts == []


def test_a_role_that_was_taken_away_there_is_gone_here(server: GunicornServer) -> None:
    login = "dora staff *"
    sign_in(server, login)
    # The subject is the whole login here, so the change is made on our side, and the provider's word comes back.
    user = next(each for each in server.get("/api/users").json if each["username"] == "dora")
    assert user["role"] == "operator"
    assert server.patch("/api/users/dora", {"role": "admin"}).status == 409


def test_a_disabled_account_is_shut_out_whatever_the_provider_says(
    server: GunicornServer, provider: Provider
) -> None:
    machine = provider.machine_token("robot staff Harbour")
    assert me(server, machine)["role"] == "operator"
    name = me(server, machine)["username"]
    assert server.patch(f"/api/users/{name}", {"active": False}).status == 200
    assert me(server, machine) == 401
    assert server.patch(f"/api/users/{name}", {"active": True}).status == 200
    assert me(server, machine)["sites"] == [1]
    token = sign_in(server, "emil guests *").json()["accessToken"]
    assert server.patch("/api/users/emil", {"active": False}).status == 200
    assert me(server, token) == 401
    assert sign_in(server, "emil guests *").status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        "nothing",
        "another browser",
        "no cookie",
        "another state",
        "no code",
        "used twice",
        "error",
        "another issuer",
    ],
)
def test_the_answer_of_the_provider_belongs_to_who_has_begun(server: GunicornServer, change: str) -> None:
    browser, back = begun(server)
    if change == "another browser":  # somebody is made to sign in as somebody else
        browser = begun(server)[0]
    elif change == "no cookie":
        browser = Browser()
    elif change == "another state":
        back = back.replace("state=", "state=x")
    elif change == "no code":
        back = back.replace("code=", "kode=")
    elif change == "used twice":
        kept = browser.session.cookies.copy()
        assert browser.get(back).status_code == 200
        browser.session.cookies = kept
    elif change == "error":
        back += "&error=access_denied"
    elif change == "another issuer":
        back = back.replace("iss=http", "iss=https")
    answer = browser.get(back)
    assert answer.status_code == (200 if change == "nothing" else 401), answer.text
    if change != "nothing":
        assert answer.json()["code"] == "login-refused"


def test_what_is_sent_to_the_provider_is_what_should_be(server: GunicornServer, provider: Provider) -> None:
    answer = requests.get(f"{server.url}/api/auth/provider", allow_redirects=False, timeout=10)
    assert answer.status_code == 302
    sent = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
    assert sent["redirect_uri"] == f"{server.url}/api/auth/provider/callback"
    assert (sent["response_type"], sent["code_challenge_method"]) == ("code", "S256")
    assert len(sent["state"]) >= 32 <= len(sent["nonce"])
    assert len(sent["code_challenge"]) == 43
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert sent["code_challenge"] not in cookie


def test_a_machine_asks_with_the_providers_token(server: GunicornServer, provider: Provider) -> None:
    token = provider.machine_token("robot admins")
    shown = me(server, token)
    # Where sites are told, who is told none has none, also an admin.
    assert (shown["role"], shown["sites"], shown["by"]) == ("admin", [], "provider")
    assert server.post("/api/sites", {"name": "Mine"}, token=token).status == 403
    assert me(server, provider.machine_token("robot -")) == 401


def forged(provider: Provider, **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": provider.issuer,
        "aud": AUDIENCE,
        "sub": "robot admins",
        "roles": ["admins"],
        "iat": now,
        "exp": now + 600,
    } | changes


def unsigned(claims: dict[str, Any], algorithm: str) -> str:
    parts = ({"alg": algorithm, "typ": "JWT"}, claims)
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        + "."
    )


def signed_with(secret: bytes, claims: dict[str, Any], kid: str) -> str:
    """As HS256 does it; libraries refuse to take a public key for a secret."""
    head = {"alg": "HS256", "typ": "JWT", "kid": kid}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, claims)]
    signature = hmac.digest(secret, b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def test_tokens_that_are_none_of_the_providers_open_nothing(
    server: GunicornServer, provider: Provider
) -> None:
    """Every kind of forgery, on every route."""
    published = requests.get(f"{provider.issuer}/jwks", timeout=10).json()["keys"]
    public = next(each for each in published if each["kty"] == "RSA")
    pem = jwt.PyJWK(public, "RS256").key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    good = forged(provider)
    head = {"kid": public["kid"]}
    from_provider = provider.machine_token("robot admins")
    body, signature = from_provider.split(".")[1:]
    tokens = {
        "another's key": jwt.encode(good, stranger, "RS256", headers=head),
        "another's key, unknown kid": jwt.encode(good, stranger, "RS256", headers={"kid": "x"}),
        "another's key in the header": jwt.encode(
            good, stranger, "RS256",
            headers={"jwk": json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.public_key()))},
        ),
        "another issuer": jwt.encode(good | {"iss": "https://evil.test"}, stranger, "RS256", headers=head),
        "no signature": unsigned(good, "none"),
        "no signature, spelled otherwise": unsigned(good, "None"),
        "the public key taken for a secret": signed_with(pem, good, public["kid"]),
        "our own secret": jwt.encode(good, server.environ["JWT_SECRET_KEY"], "HS256"),
        "another head": f"{unsigned(good, 'none').split('.')[0]}.{body}.{signature}",
        "another body": f"{from_provider.split('.')[0]}.{unsigned(good, 'none').split('.')[1]}.{signature}",
        "another audience": provider.machine_token("robot admins", resource="https://elsewhere.test"),
        "noise": from_provider[:-3],
    }  # fmt: skip
    assert me(server, from_provider)["role"] == "admin"
    opened = [
        (kind, operation["operationId"], answer.status)
        for kind, token in tokens.items()
        for path, method, operation in OPERATIONS
        if operation.get("security") != []
        for body in [{} if method in ("POST", "PATCH") else None]
        for answer in [server.request(method, path_of(path, "AT-HARBOUR", 1, 1), body, token=token)]
        if answer.status != 401
    ]
    assert opened == []


def test_an_id_token_opens_nothing(server: GunicornServer, provider: Provider) -> None:
    browser = Browser()
    asked = (
        f"{provider.issuer}/auth?client_id=chargers&response_type=code&scope=openid%20profile&nonce=n&state=s"
        f"&redirect_uri={server.url}/api/auth/provider/callback"
        "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
    )
    answer = browser.sign_in(asked, "ann admins *", stop_before=f"{server.url}/api/auth/provider/callback")
    code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    given = requests.post(
        f"{provider.issuer}/token",
        data={
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": f"{server.url}/api/auth/provider/callback",
            "code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        },
        auth=("chargers", "a+secret+of+the+server"),
        timeout=10,
    ).json()
    assert me(server, given["id_token"]) == 401
    assert me(server, given["access_token"]) == 401  # it is for the provider's own /me


def test_new_keys_of_the_provider_are_found(server: GunicornServer, provider: Provider) -> None:
    before = provider.machine_token("robot admins")
    assert me(server, before)["role"] == "admin"
    provider.stop()
    assert me(server, before)["role"] == "admin"  # it is not asked for what is known
    time.sleep(provider_module.KEYS_AT_MOST_EVERY)
    provider.start()
    after = provider.machine_token("robot admins")
    assert me(server, after)["role"] == "admin"
    assert me(server, before) == 401


def test_without_the_provider_people_with_passwords_work_on(
    server: GunicornServer, provider: Provider
) -> None:
    provider.stop()
    try:
        other = GunicornServer(server.environ["DATABASE_URL"].replace("chargers", "other"))
        other.environ |= {
            name: value for name, value in server.environ.items() if name.startswith(("OIDC", "PUBLIC"))
        }
        with other:
            assert other.get("/api/auth/me").status == 200
            begun = other.get("/api/auth/provider", token=None)
            assert (begun.status, begun.json["code"]) == (503, "identity-provider-away")
            made_up = unsigned(forged(provider), "RS256")
            answers = [other.get("/api/auth/me", token=made_up) for _ in range(3)]
            assert {answer.status for answer in answers} == {503}
    finally:
        provider.start()


def test_no_secret_of_it_stands_in_the_log(server: GunicornServer, tmp_path: Path) -> None:
    time.sleep(provider_module.KEYS_AT_MOST_EVERY)  # the provider has started anew, with new keys
    browser, back = begun(server, "flora guests *")
    code = parse_qs(urlsplit(back).query)["code"][0]
    token = browser.get(back).json()["accessToken"]
    assert "GET /api/auth/provider/callback?…" in server.log()
    for secret in (code, token, "a secret of the server", "flora"):
        assert secret not in server.log()
