"""The `flask` commands that an administrator uses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient

Flaskly = Callable[..., Result]


@pytest.fixture
def flask(app: Flask) -> Flaskly:
    """Runs a `flask` command: flask("user", "create", "ann")."""
    return lambda *arguments, **options: app.test_cli_runner().invoke(args=list(arguments), **options)


def logs_in(client: FlaskClient, username: str, password: str) -> bool:
    answer = client.post("/api/auth/login", json={"username": username, "password": password})
    return answer.status_code == 200


def test_an_account_is_created_with_a_prompt(flask: Flaskly, client: FlaskClient) -> None:
    done = flask("user", "create", "ann", input="a good password\na good password\n")
    assert done.exit_code == 0
    assert "a good password" not in done.output
    assert logs_in(client, "ann", "a good password")


def test_an_account_is_created_once(flask: Flaskly) -> None:
    arguments = ("user", "create", "ann", "--password", "a good password")
    assert flask(*arguments).exit_code == 0
    again = flask(*arguments)
    assert again.exit_code == 1
    assert "exists already" in again.output


def test_the_first_account_gets_a_random_password_shown_once(flask: Flaskly, client: FlaskClient) -> None:
    shown = flask("user", "create-first").output
    password = shown.partition("password ")[2].split()[0]
    assert logs_in(client, "admin", password)
    assert flask("user", "create-first").output == ""


def test_the_first_account_takes_what_the_environment_says(
    flask: Flaskly, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN_USERNAME", "chief")
    monkeypatch.setenv("ADMIN_PASSWORD", "the chief's password")
    assert "the chief's password" not in flask("user", "create-first").output
    assert logs_in(client, "chief", "the chief's password")


def test_an_account_changes_its_password_and_is_disabled_and_enabled(
    flask: Flaskly, client: FlaskClient
) -> None:
    flask("user", "create", "ann", "--password", "a good password")
    assert flask("user", "password", "ann", "--password", "a better password").exit_code == 0
    assert not logs_in(client, "ann", "a good password")
    flask("user", "disable", "ann")
    assert not logs_in(client, "ann", "a better password")
    flask("user", "enable", "ann")
    assert logs_in(client, "ann", "a better password")


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "disable", "nobody"),
        ("user", "create", "ann", "--password", "short"),
        ("charger", "approve", "NOWHERE"),
    ],
)
def test_a_fault_is_one_line_and_no_traceback(flask: Flaskly, arguments: tuple[str, ...]) -> None:
    done = flask(*arguments)
    assert done.exit_code == 1
    assert done.output.startswith("Error: ")
    assert len(done.output.splitlines()) == 1


def test_simulated_chargers_are_a_command(flask: Flaskly) -> None:
    assert "--chargers" in flask("simulate", "--help").output


@pytest.mark.parametrize("name", ["ann", "system", " ann", "x" * 81])
def test_a_name_is_looked_at_before_a_password_is_asked_for(flask: Flaskly, name: str) -> None:
    flask("user", "create", "ann", "--password", "a good password")
    done = flask("user", "create", name, input="a good password\na good password\n")
    assert done.exit_code == 1
    assert "Password" not in done.output
    assert "Error" in done.output


def test_an_unknown_name_gets_no_new_password(flask: Flaskly) -> None:
    done = flask("user", "password", "nobody", input="a good password\na good password\n")
    assert done.exit_code == 1
    assert "Password" not in done.output
    assert "nobody" in done.output
