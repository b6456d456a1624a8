"""An outside identity provider (OpenID Connect): whose tokens are believed, and how people sign in there.

What it says is believed only as far as its keys have signed it for us: issuer, audience, time, and an algorithm of those
with a public key. What it publishes (its addresses, its keys) is fetched when it is needed and kept for a while; a key that
nobody knows makes us look again, but not more often than every KEYS_AT_MOST_EVERY.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from gevent.lock import BoundedSemaphore
from itsdangerous import BadData, URLSafeTimedSerializer
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from sqlalchemy import Engine

from .. import clock
from ..database.connections import reading
from ..domain.roles import ROLES
from ..errors import LoginRefused, ProviderAway
from ..settings import Settings
from ..sites import site_rows
from .accounts import Foreign

log = logging.getLogger(__name__)

#: With a private key of the provider's only: none, and none whose secret we could be talked into taking a public key for.
ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA",
)  # fmt: skip
#: How long what the provider publishes is taken for true, in seconds.
KEPT_FOR = 600.0
KEYS_AT_MOST_EVERY = 5.0
#: How long it is taken to be away once it has not answered.
AWAY_FOR = 1.0
#: How long it may take to answer.
PATIENCE = 5.0
#: How long somebody may take to sign in there.
SIGN_IN_WITHIN = 600
#: Where the provider sends people back to.
CALLBACK = "/api/auth/provider/callback"
_MOST_TOKEN = 16_000
_MOST_ANSWER = 1 << 20
_EVERY_SITE = "*"


@dataclass(frozen=True, slots=True)
class SignIn:
    """Somebody who has been sent to the provider: the address to go to, and what their browser must show afterwards."""

    address: str
    cookie: str


class Provider:
    """The provider that the settings name."""

    def __init__(
        self, settings: Settings, engine: Engine, monotonic: Callable[[], float] = clock.monotonic
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._monotonic = monotonic
        self._roles = dict(each.rpartition("=")[::2] for each in settings.oidc_roles)
        self._cookies = URLSafeTimedSerializer(list(settings.signing_secrets), salt="sign-in")
        self._published: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None
        self._looked_at = float("-inf")
        self._first = BoundedSemaphore(1)
        self._asked_at = float("-inf")
        self._first_word = BoundedSemaphore(1)

    @property
    def takes_tokens(self) -> bool:
        """Whether the provider's access tokens open the API."""
        return bool(self._settings.oidc_issuer and self._settings.oidc_audience)

    @property
    def signs_in(self) -> bool:
        """Whether people may sign in there."""
        return bool(self._settings.oidc_issuer and self._settings.oidc_client_id)

    @property
    def callback(self) -> str:
        return self._settings.public_url + CALLBACK

    def bearer(self, token: str) -> Foreign:
        """Whom one of its access tokens speaks for. Raises LoginRefused, ProviderAway."""
        claims = self._claims(token, audience=self._settings.oidc_audience)
        if "nonce" in claims or "at_hash" in claims:
            raise LoginRefused("This is an ID token: it opens nothing.")
        return self._foreign(claims)

    def begin(self) -> SignIn:
        """Send somebody to the provider (authorization code with PKCE). Raises ProviderAway."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        with self._client() as client:
            address, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"), state=state, code_verifier=verifier, nonce=nonce
            )
        return SignIn(str(address), str(self._cookies.dumps([state, nonce, verifier])))

    def finish(self, cookie: str | None, answer: Mapping[str, str]) -> Foreign:
        """Who has come back with the provider's answer. Raises LoginRefused, ProviderAway."""
        try:
            state, nonce, verifier = self._cookies.loads(cookie or "", max_age=SIGN_IN_WITHIN)
        except (BadData, ValueError, TypeError):
            raise LoginRefused(
                "This browser has not begun to sign in here, or too long ago: begin anew."
            ) from None
        if not hmac.compare_digest(str(state).encode(), answer.get("state", "").encode()):
            raise LoginRefused("This is not the answer to what this browser has begun: begin anew.")
        if answer.get("iss", self._settings.oidc_issuer) != self._settings.oidc_issuer:
            raise LoginRefused("This is the answer of another provider.")
        if "error" in answer or not answer.get("code"):
            log.info("the identity provider refused a sign-in: %s", answer.get("error", "")[:100])
            raise LoginRefused("The identity provider refused.")
        with self._client() as client:
            try:
                given = client.fetch_token(
                    self._endpoint("token_endpoint"), code=answer["code"], code_verifier=verifier
                )
            except (AuthlibBaseError, ValueError) as error:
                log.warning("the identity provider gave no token: %s", type(error).__name__)
                raise LoginRefused(
                    "The identity provider does not stand by its answer: begin anew."
                ) from None
            except requests.RequestException as error:
                raise _away(error) from None
            claims = self._claims(str(given.get("id_token") or ""), audience=self._settings.oidc_client_id)
            if claims.get("nonce") != nonce:
                raise LoginRefused("The identity provider's answer belongs to another sign-in: begin anew.")
            several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
            if several and claims.get("azp") != self._settings.oidc_client_id:
                raise LoginRefused("The identity provider's answer is meant for somebody else.")
            if self._wants_more(claims):
                claims = self._userinfo(client, claims["sub"]) | claims
        return self._foreign(claims)

    def _client(self) -> OAuth2Session:
        settings = self._settings
        client = OAuth2Session(
            settings.oidc_client_id,
            settings.oidc_client_secret or None,
            token_endpoint_auth_method="client_secret_basic" if settings.oidc_client_secret else "none",
            scope="openid profile",
            redirect_uri=self.callback,
            code_challenge_method="S256",
            default_timeout=PATIENCE,
        )
        client.trust_env = False  # nobody's ~/.netrc
        return client

    def _wants_more(self, claims: Mapping[str, Any]) -> bool:
        """Whether what decides is not among the claims of the ID token."""
        wanted = (
            self._settings.oidc_role_claim,
            self._settings.oidc_sites_claim,
            self._settings.oidc_name_claim,
        )
        return any(name and _claim(claims, name) is None for name in wanted)

    def _userinfo(self, client: OAuth2Session, subject: str) -> dict[str, Any]:
        address = self._published_now().get("userinfo_endpoint")
        if not isinstance(address, str):
            return {}
        try:
            answer = client.get(address, timeout=PATIENCE, allow_redirects=False)
            said = answer.json() if answer.status_code == 200 else {}
        except (requests.RequestException, ValueError, AuthlibBaseError) as error:
            raise _away(error) from None
        # OpenID Connect Core 5.3.2: else it may be somebody else's.
        return said if isinstance(said, dict) and said.get("sub") == subject else {}

    def _claims(self, token: str, *, audience: str) -> dict[str, Any]:
        """What a token of the provider's says. Raises LoginRefused, ProviderAway."""
        if len(token) > _MOST_TOKEN:
            raise LoginRefused("The token is too long.")
        expected = jwt.JWTClaimsRegistry(
            leeway=self._settings.oidc_leeway_seconds,
            iss={"essential": True, "value": self._settings.oidc_issuer},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
        )
        try:
            try:
                decoded = jwt.decode(token, self._keys_now(), algorithms=list(ALGORITHMS))
            except InvalidKeyIdError:
                decoded = jwt.decode(token, self._keys_now(anew=True), algorithms=list(ALGORITHMS))
            expected.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            log.info("a token of the identity provider was refused: %s", type(error).__name__)
            raise LoginRefused("The token is not valid.") from None
        return dict(decoded.claims)

    def _keys_now(self, *, anew: bool = False) -> KeySet:
        """The provider's keys; `anew`: it may have others by now."""
        if self._keys is None:
            with self._first:  # all wait for the first who asks
                return self._fresh_keys(anew)
        return self._fresh_keys(anew)

    def _fresh_keys(self, anew: bool) -> KeySet:
        now = self._monotonic()
        if self._keys is not None:
            since, keys = self._keys
            wanted = anew or now - since > KEPT_FOR
            if not wanted or now - self._looked_at < KEYS_AT_MOST_EVERY:
                return keys
        elif now - self._looked_at < AWAY_FOR:  # somebody has just tried, or is at it
            raise ProviderAway
        self._looked_at = now
        try:
            keys = KeySet.import_key_set(_only_public(self._fetch(self._endpoint("jwks_uri"))))
        except (ProviderAway, JoseError, ValueError, TypeError, KeyError) as error:
            if self._keys is not None:  # those that were good a while ago are better than none
                log.warning("the identity provider's keys could not be fetched: %s", type(error).__name__)
                return self._keys[1]
            raise _away(error) from None
        self._keys = (now, keys)
        return keys

    def _endpoint(self, name: str) -> str:
        address = self._published_now().get(name)
        if not isinstance(address, str):
            raise ProviderAway(f"The identity provider publishes no {name}.")
        return address

    def _published_now(self) -> dict[str, Any]:
        """What the provider says of itself (OpenID Connect Discovery)."""
        if self._published is None:
            with self._first_word:  # all wait for the first who asks
                if self._published is None and self._monotonic() - self._asked_at < AWAY_FOR:
                    raise ProviderAway
                return self._fresh_word()
        return self._fresh_word()

    def _fresh_word(self) -> dict[str, Any]:
        now = self._asked_at = self._monotonic()
        if self._published is None or now - self._published[0] > KEPT_FOR:
            issuer = self._settings.oidc_issuer
            try:
                said = self._fetch(issuer.rstrip("/") + "/.well-known/openid-configuration")
                if said.get("issuer") != issuer:
                    raise ProviderAway(
                        f"The identity provider calls itself {said.get('issuer')!r}, not OIDC_ISSUER."
                    )
            except ProviderAway as error:
                if self._published is None:
                    raise
                log.warning("%s", error)
                said = self._published[1]
            self._published = (now, said)
        return self._published[1]

    def _fetch(self, address: str) -> dict[str, Any]:
        try:
            with requests.Session() as session:
                session.trust_env = False
                with session.get(address, timeout=PATIENCE, allow_redirects=False, stream=True) as answer:
                    if answer.status_code != 200:
                        raise ProviderAway(
                            f"The identity provider answers {answer.status_code}; try again soon."
                        )
                    body = answer.raw.read(_MOST_ANSWER + 1, decode_content=True)
            said = json.loads(body) if len(body) <= _MOST_ANSWER else None
        except (requests.RequestException, OSError, ValueError, RecursionError) as error:
            raise _away(error) from None
        if not isinstance(said, dict):
            raise ProviderAway("The identity provider answers with something else than was asked for.")
        return said

    def _foreign(self, claims: Mapping[str, Any]) -> Foreign:
        """What these claims say in our words. Raises LoginRefused for somebody without a role here."""
        settings = self._settings
        said = _claim(claims, settings.oidc_role_claim)
        theirs = [said] if isinstance(said, str) and said in self._roles else _words(said)
        roles = [self._roles[each] for each in theirs if each in self._roles]
        if not roles:
            raise LoginRefused("The identity provider gives you no role here.")
        subject = str(claims["sub"])
        if not (0 < len(subject) <= 255 and subject.isprintable()):
            raise LoginRefused("The token is not valid.")
        name = _claim(claims, settings.oidc_name_claim)
        return Foreign(
            settings.oidc_issuer,
            subject,
            name if isinstance(name, str) else "",
            max(roles, key=ROLES.index),
            self._sites(claims),
        )

    def _sites(self, claims: Mapping[str, Any]) -> Sequence[int] | None:
        if not self._settings.oidc_sites_claim:
            return None
        said = _words(_claim(claims, self._settings.oidc_sites_claim), commas_only=True)
        named = [each for each in said if each.isprintable()]
        if _EVERY_SITE in named:
            return None
        with reading(self._engine) as conn:
            known = site_rows.ids_named(conn, named)
            others = (each for each in named if each not in known)
            numbers = {int(each) for each in others if each.isascii() and each.isdigit() and len(each) < 19}
            return sorted({*known.values(), *site_rows.known(conn, numbers)})


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by the way to it (`realm_access.roles`); None: it is not there."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _words(value: Any, *, commas_only: bool = False) -> list[str]:
    """What a claim with one or several words holds: a list, or a text."""
    if isinstance(value, str):
        parts = value.split(",") if commas_only else value.replace(",", " ").split()
        return [part.strip() for part in parts if part.strip()]
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(value)]
    if isinstance(value, list):
        return [str(each) for each in value if isinstance(each, str | int) and not isinstance(each, bool)][
            :1000
        ]
    return []


def _only_public(published: Mapping[str, Any]) -> Any:
    """Keys for signatures, without those that are secrets that two share."""
    keys = [
        each
        for each in published.get("keys", ())
        if isinstance(each, dict) and each.get("kty") != "oct" and each.get("use", "sig") == "sig"
    ]
    return {"keys": keys}


def _away(error: BaseException) -> ProviderAway:
    log.warning("the identity provider does not answer: %s", type(error).__name__)
    return error if isinstance(error, ProviderAway) else ProviderAway()
