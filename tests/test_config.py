"""The configuration: what works on a laptop by itself, and what is refused with words that help."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import config
from charger_mgmt.errors import ConfigurationError

ROOT = Path(config.__file__).parent
SECRET = "s" * 40
PRODUCTION = {"APP_ENV": "production", "JWT_SECRET_KEY": SECRET, "DATABASE_URL": "mysql://u:p@db/chargers"}


def test_a_laptop_needs_no_settings() -> None:
    settings = config.load({})
    assert settings.database_url.url.startswith("sqlite:///")
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert (settings.heartbeat_interval, settings.heartbeat_timeout) == (300, 330)
    assert settings.charger_onboarding == "open"


def test_a_laptop_keeps_its_secret_over_a_restart() -> None:
    assert config.load({}).jwt_secret_key == config.load({}).jwt_secret_key


def test_an_empty_variable_is_an_unset_one() -> None:
    assert config.load({"PORT": "", "HEARTBEAT_INTERVAL": "  "}).port == 8080


def test_values_come_in_their_types() -> None:
    settings = config.load(
        {"PORT": "9000", "SWEEP_INTERVAL": "0.5", "AUTOMATIC_CALLS": "off", "ACCESS_TOKEN_SECONDS": "600"}
    )
    assert settings.port == 9000
    assert settings.sweep_interval == 0.5
    assert settings.automatic_calls is False
    assert settings.access_token_seconds == 600


PROVIDER = {
    "PUBLIC_URL": "https://chargers.example.com",
    "OIDC_ISSUER": "https://login.example.com/realms/work",
    "OIDC_CLIENT_ID": "chargers",
    "OIDC_AUDIENCE": "https://chargers.example.com/api",
    "OIDC_ROLES": "charger-admins=admin,staff=viewer",
}


def test_a_provider_is_read() -> None:
    assert config.load({"PUBLIC_URL": "https://x.example/"}).public_url == "https://x.example"
    settings = config.load(PROVIDER | {"OIDC_ROLES": "Charger admins=admin, a=b=viewer"})
    assert settings.oidc_roles == ("Charger admins=admin", "a=b=viewer")
    assert (settings.log_in_idle_seconds, settings.log_in_seconds) == (1800, 43_200)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"PORT": "http"}, "PORT"),
        ({"PORT": "70000"}, "PORT"),
        ({"SWEEP_INTERVAL": "nan"}, "SWEEP_INTERVAL"),
        ({"SWEEP_INTERVAL": "inf"}, "SWEEP_INTERVAL"),
        ({"AUTOMATIC_CALLS": "maybe"}, "AUTOMATIC_CALLS"),
        ({"CHARGER_ONBOARDING": "everyone"}, "CHARGER_ONBOARDING"),
        ({"APP_ENV": "prod"}, "APP_ENV"),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL"),
        ({"JWT_SECRET_KEY": "too short"}, "JWT_SECRET_KEY"),
        ({"JWT_PREVIOUS_SECRET_KEYS": "x" * 40 + ",short"}, "JWT_PREVIOUS_SECRET_KEYS"),
        ({"ACCESS_TOKEN_SECONDS": "900", "LOG_IN_IDLE_SECONDS": "600"}, "LOG_IN_IDLE_SECONDS"),
        ({"LOG_IN_IDLE_SECONDS": "3600", "LOG_IN_SECONDS": "1800"}, "LOG_IN_SECONDS"),
        ({"PUBLIC_URL": "chargers.example.com"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "http://chargers.example.com"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://chargers.example.com/below"}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://user@chargers.example.com"}, "PUBLIC_URL"),
        ({"OIDC_CLIENT_ID": "chargers"}, "OIDC_ISSUER"),
        ({"OIDC_AUDIENCE": "chargers"}, "OIDC_ISSUER"),
        ({"OIDC_ISSUER": "http://login.example.com"}, "OIDC_ISSUER"),
        (PROVIDER | {"OIDC_CLIENT_ID": "", "OIDC_AUDIENCE": ""}, "OIDC_CLIENT_ID"),
        (PROVIDER | {"PUBLIC_URL": ""}, "PUBLIC_URL"),
        (PROVIDER | {"OIDC_AUDIENCE": "chargers"}, "OIDC_AUDIENCE"),
        (PROVIDER | {"OIDC_ROLES": ""}, "OIDC_ROLES"),
        (PROVIDER | {"OIDC_ROLES": "admins=root"}, "OIDC_ROLES"),
        (PROVIDER | {"OIDC_ROLES": "admins"}, "OIDC_ROLES"),
        (PROVIDER | {"OIDC_LEEWAY_SECONDS": "3600"}, "OIDC_LEEWAY_SECONDS"),
        ({"DATABASE_URL": "not a url"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://u@h/d"}, "DATABASE_URL"),
        ({"DATABASE_URL": "mysql://u@h"}, "DATABASE_URL"),
        ({"JAWSDB_URL": "mysql://u@h"}, "JAWSDB_URL"),
        ({"WEB_CONCURRENCY": "2"}, "WEB_CONCURRENCY"),
    ],
)
def test_what_cannot_work_is_refused_by_name(environ: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        config.load(environ)


def test_a_limit_that_a_punctual_charger_would_miss_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="HEARTBEAT_TIMEOUT=300"):
        config.load({"HEARTBEAT_INTERVAL": "300", "HEARTBEAT_TIMEOUT": "300"})


@pytest.mark.parametrize("missing", ["JWT_SECRET_KEY", "DATABASE_URL"])
def test_production_does_not_start_without(missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        config.load({key: value for key, value in PRODUCTION.items() if key != missing})


def test_production_asks_an_operator_before_a_new_charger_may_charge() -> None:
    assert config.load(PRODUCTION).charger_onboarding == "approve"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("mysql://u:p@host/db", "mysql+pymysql://u:p@host/db?charset=utf8mb4"),
        ("mysql2://u:p@host/db", None),
        ("mysql://u:p@host/db?reconnect=true", "mysql+pymysql://u:p@host/db?charset=utf8mb4"),
        (
            "mysql://u:p%40ss@host:3307/db?charset=latin1",
            "mysql+pymysql://u:p%40ss@host:3307/db?charset=utf8mb4",
        ),
        ("mariadb://u:p@host/db", "mysql+pymysql://u:p@host/db?charset=utf8mb4"),
        ("sqlite:////var/lib/chargers.sqlite3", "sqlite:////var/lib/chargers.sqlite3"),
    ],
)
def test_database_urls_of_platforms_are_understood(given: str, used: str | None) -> None:
    if used is None:
        with pytest.raises(ConfigurationError):
            config.load({"DATABASE_URL": given})
    else:
        assert config.load({"DATABASE_URL": given}).database_url.url == used


@pytest.mark.parametrize("name", ["DATABASE_URL", "JAWSDB_URL", "CLEARDB_DATABASE_URL"])
def test_platforms_may_name_their_database_differently(name: str) -> None:
    assert "host/db" in config.load({name: "mysql://u:p@host/db"}).database_url.url


def test_the_password_of_a_refused_url_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        config.load({"DATABASE_URL": "postgresql://user:hunter2@host/db"})
    assert "hunter2" not in str(refusal.value)


def test_the_readmes_table_says_what_is_declared() -> None:
    assert config.README.read_text() == config.readme()  # else: make readme


@pytest.mark.parametrize(
    "command",
    [["-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"], ["-m", "flask", "db", "upgrade"]],
    ids=["gunicorn", "flask"],
)
def test_a_wrong_setting_ends_a_command_with_one_line(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HEARTBEAT_INTERVAL": "soon"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    said = (done.stdout + done.stderr).strip().splitlines()
    assert said == [
        "Configuration: HEARTBEAT_INTERVAL='soon' is not a number. Example: HEARTBEAT_INTERVAL=300"
    ]


def test_a_file_beside_the_code_counts_where_the_environment_says_nothing(tmp_path, monkeypatch) -> None:
    written = tmp_path / "settings"
    written.write_text("# a comment\nexport PORT=9000\nLOG_LEVEL='DEBUG'\nHOST=0.0.0.0\nEMPTY\n")
    monkeypatch.setenv("ENV_FILE", str(written))
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    settings = config.load()
    assert (settings.port, settings.log_level) == (9000, "ERROR")
    assert config.where() == "127.0.0.1:9000"


def test_a_wrong_line_in_the_file_is_refused_like_a_variable(tmp_path, monkeypatch) -> None:
    written = tmp_path / "settings"
    written.write_text("PORT=soon\n")
    monkeypatch.setenv("ENV_FILE", str(written))
    with pytest.raises(ConfigurationError, match="PORT"):
        config.load()
