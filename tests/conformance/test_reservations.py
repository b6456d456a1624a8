"""OCTT, Reservation profile: with reservations as an operator works with them, and the life that they have (section 5.13)."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest

from charger_mgmt import clock
from tests.support.processes import wait_until

SERVER_ENVIRON = {
    "AUTOMATIC_CALLS": "off",
    "FOLLOW_UP_DELAY": "0",
    "UNKNOWN_TAGS": "invalid",
    "CALL_TIMEOUT": "1",
    "OPERATOR_WAIT": "2",
}


def later(**parts):
    return (clock.now() + timedelta(**parts)).isoformat().replace("+00:00", "Z")


def reserves(operator, charger, tag, connector=1, **fields):
    operator.asked["ReserveNow"] += 1
    body = {
        "chargerId": charger.identity,
        "connectorId": connector,
        "idTag": tag,
        "expiryDate": later(hours=1),
    }
    return operator.post("/api/reservations", body | fields)


def cancels(operator, number):
    operator.asked["CancelReservation"] += 1
    return operator.post(f"/api/reservations/{number}/cancel")


def state(operator, number):
    return operator.get(f"/api/reservations/{number}").json["state"]


def only(operator, charger):
    (row,) = operator.get("/api/reservations", chargerId=charger.identity).json
    return row


def connector_status(operator, charger, number=1):
    return next(
        each["status"] for each in operator.sees(charger)["connectors"] if each["connectorId"] == number
    )


def test_TC_046_a_reserved_connector_is_used_by_a_transaction(charger, card, operator):
    made = reserves(operator, charger, card)
    assert (made.status, made.json["state"]) == (201, "active")
    (call,) = charger.calls
    assert call.payload == {
        "connectorId": 1,
        "expiryDate": made.json["expiryDate"],
        "idTag": card,
        "reservationId": made.json["reservationId"],
    }
    assert charger.rests()
    assert connector_status(operator, charger) == "Reserved"
    assert charger.authorizes(card).status == "Accepted"
    started = charger.starts(1, card, meter=0, reservation=made.json["reservationId"])
    assert started.status == "Accepted"
    shown = operator.get(f"/api/reservations/{made.json['reservationId']}").json
    assert (shown["state"], shown["transactionId"]) == ("used", started.transaction_id)
    assert operator.transaction(started.transaction_id)["reservationId"] == made.json["reservationId"]


def test_TC_047_a_reservation_expires(charger, card, operator):
    made = reserves(operator, charger, card, expiryDate=later(seconds=1.5))
    assert made.json["state"] == "active"
    wait_until(lambda: state(operator, made.json["reservationId"]) != "active", seconds=10, what="it is over")
    wait_until(lambda: connector_status(operator, charger) == "Available", seconds=10, what="it is Available")
    assert state(operator, made.json["reservationId"]) == "expired"
    assert operator.get("/api/reservations", chargerId=charger.identity, state="active").json == []
    assert len(operator.get("/api/reservations", chargerId=charger.identity, state="expired").json) == 1


@pytest.mark.parametrize(
    ("case", "answer"), [("1", "Faulted"), ("2", "Occupied"), ("3", "Unavailable"), ("4", "Rejected")]
)
def test_TC_048_a_connector_that_cannot_be_reserved(charger, card, operator, case, answer):
    if case == "3":
        operator.commands(charger, "ChangeAvailability", connectorId=1, type="Inoperative")
        assert charger.rests()
    else:
        charger.answers("ReserveNow", {"status": answer})
    made = reserves(operator, charger, card)
    assert (made.status, made.json["code"]) == (409, "command-refused")
    assert answer in made.json["detail"]
    row = only(operator, charger)
    assert (row["state"], row["answer"]) == ("refused", answer)


def test_TC_049_the_whole_charge_point_is_reserved(charger, card, operator):
    made = reserves(operator, charger, card, connector=0)
    assert (made.status, made.json["state"], made.json["connectorId"]) == (201, "active", 0)
    assert charger.calls[0].payload["connectorId"] == 0


def test_TC_051_a_reservation_is_cancelled(charger, card, operator):
    number = reserves(operator, charger, card).json["reservationId"]
    done = cancels(operator, number)
    assert (done.status, done.json["state"]) == (200, "cancelled")
    assert charger.calls[-1].payload == {"reservationId": number}
    assert charger.rests()
    assert connector_status(operator, charger) == "Available"
    again = operator.post(f"/api/reservations/{number}/cancel")
    assert (again.status, again.json["state"]) == (200, "cancelled")


def test_TC_052_a_reservation_that_the_charger_does_not_know(charger, card, operator):
    number = reserves(operator, charger, card).json["reservationId"]
    charger.holds.reservations.clear()
    done = cancels(operator, number)
    assert (done.status, done.json["code"]) == (409, "command-refused")
    assert state(operator, number) == "lost"
    # By hand any number can be cancelled, also one that never was.
    answer = operator.commands(charger, "CancelReservation", reservationId=999_999)
    assert answer.json["response"] == {"status": "Rejected"}


def test_TC_053_a_reserved_connector_is_used_by_a_card_of_the_group(charger, new_tag, operator):
    parent = new_tag()
    one, other = new_tag(parent=parent), new_tag(parent=parent)
    made = reserves(operator, charger, one)
    assert charger.calls[0].payload["parentIdTag"] == parent
    asked = charger.authorizes(other)
    assert (asked.status, asked["idTagInfo"]["parentIdTag"]) == ("Accepted", parent)
    started = charger.starts(1, other, meter=0, reservation=made.json["reservationId"])
    assert started.status == "Accepted"
    assert state(operator, made.json["reservationId"]) == "used"


# Beyond the OCTT


def test_a_start_by_the_operator_honours_a_reservation(charger, new_tag, operator):
    mine, stranger = new_tag(), new_tag()
    number = reserves(operator, charger, mine).json["reservationId"]
    for fields in ({"idTag": stranger}, {}):
        refused = operator.post(
            f"/api/transactions/{quote(charger.identity)}/start",
            {"sessionId": "other", "connectorId": 1} | fields,
        )
        assert (refused.status, refused.json["code"]) == (409, "conflict")
        assert f"reservation {number}" in refused.json["detail"]
    started = operator.starts(charger, "mine", connectorId=1, idTag=mine)
    assert started.status == 201, started
    assert state(operator, number) == "used"


def test_no_answer_is_no_reservation_and_no_refusal(charger, card, operator):
    charger.answers_late("ReserveNow", 2.0)
    made = reserves(operator, charger, card)
    assert (made.status, made.json["state"]) == (202, "requested")
    number = made.json["reservationId"]
    wait_until(lambda: state(operator, number) == "active", seconds=10, what="the late answer has come")


def test_what_the_charger_does_says_what_it_knows(charger, card, operator):
    """The answer is lost for good, and the session that names the reservation has used it all the same."""
    charger.ignores("ReserveNow")
    number = reserves(operator, charger, card).json["reservationId"]
    started = charger.starts(1, card, meter=0, reservation=number)
    assert state(operator, number) == "used"
    assert operator.get(f"/api/reservations/{number}").json["transactionId"] == started.transaction_id


@pytest.mark.parametrize("status", ["Faulted", "Unavailable"])
def test_a_connector_out_of_order_ends_its_reservation(charger, card, operator, status):
    number = reserves(operator, charger, card).json["reservationId"]
    charger.reports(2, status)
    assert state(operator, number) == "active"
    charger.reports(1, status)
    assert state(operator, number) == "ended"


def test_a_charger_that_lets_go_of_a_reservation_by_itself(charger, card, operator):
    number = reserves(operator, charger, card).json["reservationId"]
    assert charger.rests()
    charger.reports(1, "Available")
    assert state(operator, number) == "ended"


def test_a_reservation_outlives_the_chargers_restart(charger, card, operator):
    number = reserves(operator, charger, card).json["reservationId"]
    charger.goes_offline()
    charger.comes_back()
    assert state(operator, number) == "active"


def test_a_reservation_of_another_charger_is_not_used_up(charger, other_charger, card, operator):
    number = reserves(operator, charger, card).json["reservationId"]
    other_charger.starts(1, card, meter=0, reservation=number)
    other_charger.reports(1, "Faulted")
    assert state(operator, number) == "active"


@pytest.mark.parametrize("number", [0, -1, 2**31, 2**63, 10**30])
def test_a_reservation_that_cannot_be_is_no_reason_to_refuse_a_start(charger, card, number):
    started = charger.starts(1, card, meter=0, reservation=number)
    assert started.status == "Accepted"


def test_a_connector_is_kept_once(charger, new_tag, operator):
    assert reserves(operator, charger, new_tag()).status == 201
    again = reserves(operator, charger, new_tag())
    assert (again.status, again.json["code"]) == (409, "conflict")
    assert len(charger.calls) == 1


def test_what_cannot_be_reserved_is_said_by_its_field(charger, card, new_tag, operator):
    for fields, wrong in (
        ({"expiryDate": later(hours=-1)}, "expiryDate"),
        ({"expiryDate": later(days=40)}, "expiryDate"),
        ({"connectorId": -1}, "connectorId"),
        ({"idTag": ""}, "idTag"),
    ):
        answer = reserves(operator, charger, card, **fields)
        assert (answer.status, answer.json["errors"][0]["field"]) == (400, wrong)
    refused = reserves(operator, charger, new_tag("Blocked"))
    assert (refused.status, refused.json["code"], refused.json["idTagStatus"]) == (
        409,
        "tag-refused",
        "Blocked",
    )
    charger.goes_offline()
    wait_until(lambda: not operator.sees(charger)["connected"], seconds=5, what="it is gone")
    assert reserves(operator, charger, card).json["code"] == "charger-offline"
    assert charger.calls == []
