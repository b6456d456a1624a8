"""What the chargers of a load process say.

A talk is a generator: it gives the text of a CALL and is sent the text of the answer. It gives None once
when it is ready to be measured.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Generator
from typing import TypeAlias

from . import frames

Talk: TypeAlias = Generator[bytes | None, bytes, None]

BOOT = frames.text(
    b'[2,"boot","BootNotification",{"chargePointVendor":"Bench","chargePointModel":"Load 1",'
    b'"chargePointSerialNumber":"0001","firmwareVersion":"1.0.0"}]'
)
_IDS = itertools.count(1)


def heartbeats(number: int) -> Talk:
    """Heartbeats without end, from ready-made frames."""
    ready = [frames.text(b'[2,"%d-%d","Heartbeat",{}]' % (number, turn)) for turn in range(4)]
    yield None
    while True:
        for frame in ready:  # noqa: UP028 (a plain iterator takes no answers)
            yield frame


def meter_values(number: int) -> Talk:
    """One session, and in it MeterValues of three samples without end."""
    transaction_id = _transaction_id((yield _start(number)))
    yield None
    register = 1000
    while True:
        register += 7
        yield samples(transaction_id, register)


def pairs(number: int) -> Talk:
    """Sessions that start and stop at once, without end."""
    yield None
    while True:
        transaction_id = _transaction_id((yield _start(number)))
        yield _stop(transaction_id)


def statuses(number: int) -> Talk:
    """StatusNotifications that change each time, without end."""
    yield None
    for turn in itertools.count():
        yield frames.text(
            b'[2,"%d","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"%b","timestamp":"%b"}]'
            % (next(_IDS), (b"Available", b"Preparing")[turn % 2], _now())
        )


def authorizations(number: int) -> Talk:
    """Authorize, without end."""
    yield None
    while True:
        yield frames.text(b'[2,"%d","Authorize",{"idTag":"CARD-%d"}]' % (next(_IDS), number))


def queued(number: int) -> Talk:
    """Ten messages that a charger kept while it was offline: a start, eight MeterValues, a stop."""
    yield None
    transaction_id = _transaction_id((yield _start(number)))
    for register in range(1100, 1900, 100):
        yield samples(transaction_id, register)
    yield _stop(transaction_id)


def nothing(number: int) -> Talk:
    """It dials, boots and is silent."""
    yield None


TALKS: dict[str, Callable[[int], Talk]] = {
    "nothing": nothing,
    "heartbeats": heartbeats,
    "meter_values": meter_values,
    "pairs": pairs,
    "queued": queued,
    "statuses": statuses,
    "authorizations": authorizations,
}


def samples(transaction_id: int, register: int) -> bytes:
    """MeterValues: the energy register, the power, one phase's current."""
    return frames.text(
        b'[2,"%d","MeterValues",{"connectorId":1,"transactionId":%d,"meterValue":[{"timestamp":"%b",'
        b'"sampledValue":[{"value":"%d","context":"Sample.Periodic","measurand":'
        b'"Energy.Active.Import.Register","unit":"Wh"},{"value":"%d.5","context":"Sample.Periodic",'
        b'"measurand":"Power.Active.Import","unit":"W"},{"value":"%d.25","context":"Sample.Periodic",'
        b'"measurand":"Current.Import","phase":"L1","unit":"A"}]}]}]'
        % (next(_IDS), transaction_id, _now(), register, register, register)
    )


def _start(number: int) -> bytes:
    """Every start is another one by its meter."""
    meter = next(_IDS)
    return frames.text(
        b'[2,"%d","StartTransaction",{"connectorId":1,"idTag":"CARD-%d","meterStart":%d,"timestamp":"%b"}]'
        % (meter, number, meter, _now())
    )


def _stop(transaction_id: int) -> bytes:
    register = next(_IDS)
    return frames.text(
        b'[2,"%d","StopTransaction",{"transactionId":%d,"meterStop":%d,"timestamp":"%b"}]'
        % (register, transaction_id, register + 5000, _now())
    )


def _transaction_id(answer: bytes) -> int:
    return int(json.loads(answer)[2]["transactionId"])


_moment = (0, b"")


def _now() -> bytes:
    global _moment
    second = int(time.time())
    if _moment[0] != second:
        _moment = second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second)).encode()
    return _moment[1]
