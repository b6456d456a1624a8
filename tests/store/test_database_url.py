"""Every tool's words for an encrypted database connection: translated, or refused; never dropped."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

import config
from charger_mgmt import database_url
from charger_mgmt.database import engine
from charger_mgmt.errors import ConfigurationError
from tests.support.mariadb import MariaDB
from tests.support.server import ROOT, GunicornServer

URL = "mysql://user:hunter2@host/chargers"


def tls(options: str) -> ssl.SSLContext | bool | None:
    return database_url.normalised(f"{URL}?{options}").tls


def kind(options: str) -> str:
    """What the options come to, in MySQL's words."""
    made = tls(options)
    if not isinstance(made, ssl.SSLContext):
        return "PREFERRED" if made is None else "DISABLED"
    if made.verify_mode == ssl.CERT_NONE:
        return "REQUIRED"
    return "VERIFY_IDENTITY" if made.check_hostname else "VERIFY_CA"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tls")
    paths = {name: folder / f"{name}.pem" for name in ("ca", "other_ca", "cert", "key", "broken")}
    authority.cert_pem.write_to_path(paths["ca"])
    trustme.CA().cert_pem.write_to_path(paths["other_ca"])
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.cert_chain_pems[0].write_to_path(paths["cert"])
    issued.private_key_pem.write_to_path(paths["key"])
    paths["broken"].write_text("no certificate")
    return paths


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "PREFERRED"),
        ("reconnect=true&charset=latin1", "PREFERRED"),
        *((f"ssl-mode={word}", word) for word in ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA")),
        ("ssl-mode=VERIFY_IDENTITY", "VERIFY_IDENTITY"),
        ("ssl_mode=required", "REQUIRED"),
        ("sslMode=REQUIRED", "REQUIRED"),
        ("sslmode=require", "REQUIRED"),
        ("sslmode=disable", "DISABLED"),
        ("sslmode=prefer", "PREFERRED"),
        ("sslmode=verify-ca", "VERIFY_CA"),
        ("sslmode=verify-full", "VERIFY_IDENTITY"),
        ("sslMode=trust", "REQUIRED"),
        ("useSSL=true", "REQUIRED"),
        ("useSSL=false", "DISABLED"),
        ("useSSL=true&requireSSL=true", "REQUIRED"),
        ("requireSSL=true", "REQUIRED"),
        ("useSSL=true&requireSSL=false&verifyServerCertificate=false", "REQUIRED"),
        ("useSSL=true&verifyServerCertificate=true", "VERIFY_CA"),
        ("ssl=true", "REQUIRED"),
        ("ssl=1&reconnect=true", "REQUIRED"),
        ("tls=skip-verify", "REQUIRED"),
        ("tls=true", "VERIFY_IDENTITY"),
        ("ssl_verify_cert=true", "VERIFY_CA"),
        ("ssl_verify_identity=true", "VERIFY_IDENTITY"),
        ("ssl-verify-server-cert=1", "VERIFY_IDENTITY"),
        ("ssl_disabled=true", "DISABLED"),
        ("ssl_disabled=false", "PREFERRED"),
        ("sslaccept=strict", "VERIFY_IDENTITY"),
        ("sslaccept=accept_invalid_certs", "REQUIRED"),
        ("ssl=" + quote(json.dumps({"rejectUnauthorized": True})), "VERIFY_IDENTITY"),
        ("ssl=" + quote(json.dumps({"rejectUnauthorized": False})), "REQUIRED"),
        ("ssl-mode=REQUIRED&ssl_verify_cert=true", "VERIFY_CA"),
        ("SSL-MODE=REQUIRED&ssl-mode=REQUIRED", "REQUIRED"),
    ],
)
def test_every_tools_words_are_translated(options: str, expected: str) -> None:
    assert kind(options) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("ssl_ca={ca}", "VERIFY_IDENTITY"),
        ("ssl-ca={ca}&ssl-mode=REQUIRED", "VERIFY_CA"),
        ("sslrootcert={ca}&sslmode=verify-full", "VERIFY_IDENTITY"),
        ("ssl_cert={cert}&ssl_key={key}", "REQUIRED"),
        ("ssl-ca={ca}&ssl-cert={cert}&ssl-key={key}&ssl-mode=VERIFY_IDENTITY", "VERIFY_IDENTITY"),
    ],
)
def test_files_are_used(options: str, expected: str, files: dict[str, Path]) -> None:
    assert kind(options.format(**files)) == expected
    if "{ca}" in options:
        made = tls(options.format(**files))
        assert isinstance(made, ssl.SSLContext)
        assert len(made.get_ca_certs()) == 1  # this authority, and none of the system's


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("ssl-mode=", "ssl-mode"),
        ("ssl-mode=MAYBE", "ssl-mode"),
        ("ssl-mode=REQUIRED&ssl-mode=DISABLED", "ssl-mode"),
        ("ssl-mode=REQUIRED&useSSL=false", "contradict"),
        ("ssl-mode=PREFERRED&ssl_ca={ca}", "contradict"),
        ("ssl_disabled=true&ssl_ca={ca}", "contradict"),
        ("sslmode=disable&ssl_verify_cert=true", "contradict"),
        ("useSSL=perhaps", "useSSL"),
        ("ssl_verify_cert=perhaps", "ssl_verify_cert"),
        ("ssl_ca=/nowhere/ca.pem", "/nowhere/ca.pem"),
        ("ssl_ca={broken}", "ssl_ca"),
        ("ssl_cert={broken}&ssl_key={key}", "ssl_cert"),
        ("ssl_key={key}", "ssl_cert"),
        ("ssl_ca={ca}&ssl-ca={other_ca}", "ssl-ca"),
        ("trustCertificateKeyStoreUrl=file:/x.jks", "trustCertificateKeyStoreUrl"),
        ("sslfoo=1", "sslfoo"),
        ("ssl=" + quote('{"ca":"x"}'), "ssl="),
        ("reconnect=true;ssl-mode=REQUIRED", "reconnect"),
        ("a=b&amp;ssl-mode=REQUIRED", "amp;ssl-mode"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(options: str, named: str, files: dict[str, Path]) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        tls(options.format(**files))
    assert named in str(refusal.value)
    assert "hunter2" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@h:abc/db", "mysql://u:hunter2@h:99999/db", "mysql://u:hunter2@h:0/db"]
)
def test_an_impossible_port_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        config.load({"DATABASE_URL": url})
    assert "hunter2" not in str(refusal.value)


# On a server


@pytest.fixture(scope="module")
def encrypting(files: dict[str, Path]) -> Iterator[MariaDB]:
    """A MariaDB with a certificate of our authority."""
    with MariaDB(
        f"--ssl-cert={files['cert']}", f"--ssl-key={files['key']}", f"--ssl-ca={files['ca']}"
    ) as made:
        yield made


@pytest.fixture(scope="module")
def plain() -> Iterator[MariaDB]:
    """A MariaDB that cannot encrypt."""
    with MariaDB("--skip-ssl") as made:
        yield made


def cipher(server: MariaDB, options: str) -> str:
    """The cipher of a connection with these options; "" in the clear."""
    settings = config.load({"DATABASE_URL": f"mysql://root@127.0.0.1:{server.port}/mysql?{options}"})
    made = engine.create(settings)
    try:
        with made.connect() as conn:
            return conn.execute(text("SHOW SESSION STATUS LIKE 'Ssl_cipher'")).one()[1]
    finally:
        made.dispose()


@pytest.mark.mariadb
@pytest.mark.parametrize(
    "options",
    ["ssl-mode=REQUIRED", "useSSL=true", "ssl-ca={ca}&ssl-mode=VERIFY_CA", "ssl_ca={ca}", "sslmode=require"],
)
def test_what_was_asked_for_is_encrypted(encrypting: MariaDB, files: dict[str, Path], options: str) -> None:
    assert cipher(encrypting, options.format(**files))


@pytest.mark.mariadb
def test_what_is_switched_off_is_not_encrypted(encrypting: MariaDB) -> None:
    assert not cipher(encrypting, "ssl-mode=DISABLED")


@pytest.mark.mariadb
@pytest.mark.parametrize("options", ["ssl-mode=VERIFY_CA", "ssl_ca={other_ca}", "ssl-mode=VERIFY_IDENTITY"])
def test_a_server_of_a_strange_authority_is_refused(
    encrypting: MariaDB, files: dict[str, Path], options: str
) -> None:
    with pytest.raises((OperationalError, ssl.SSLError), match="certificate"):
        cipher(encrypting, options.format(**files))


@pytest.mark.mariadb
@pytest.mark.parametrize("options", ["ssl-mode=REQUIRED", "useSSL=true", "tls=skip-verify"])
def test_no_connection_is_made_in_the_clear_where_it_must_be_encrypted(plain: MariaDB, options: str) -> None:
    with pytest.raises(OperationalError, match="SSL"):
        cipher(plain, options)
    assert cipher(plain, "") == ""


@pytest.mark.mariadb
def test_the_system_runs_on_an_encrypted_database_and_says_why_on_another(
    encrypting: MariaDB, plain: MariaDB, files: dict[str, Path]
) -> None:
    encrypting.execute("CREATE USER 'tls'@'%' IDENTIFIED BY 'x' REQUIRE SSL")
    encrypting.execute("CREATE DATABASE tls")
    encrypting.execute("GRANT ALL ON tls.* TO 'tls'@'%'")
    url = f"mysql://tls:x@127.0.0.1:{encrypting.port}/tls?ssl-mode=VERIFY_IDENTITY&ssl-ca={files['ca']}"
    with GunicornServer(url) as server:
        assert server.get("/health/ready").status == 200
    done = subprocess.run(
        [sys.executable, "-m", "flask", "db", "upgrade"],
        cwd=ROOT,
        env=server.environ | {"DATABASE_URL": f"mysql://root@127.0.0.1:{plain.port}/mysql?ssl-mode=REQUIRED"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode
    assert "SSL is required but the server doesn't support it" in done.stderr
    assert "Traceback" not in done.stderr
