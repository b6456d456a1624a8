"""Fake chargers: one implementation for the tests, `flask simulate` and the load benchmarks.

    transport.py      what a charger needs of a connection, and the faults of the charger's side
    wire.py           a connection over a socket (wsproto); tests/support has one in memory
    ledger.py         what was said and what was answered; the queue of transaction messages
    speaking.py       what both dialects share: dialling, one call at a time, offline queue and replay
    charger.py        FakeCharger: OCPP-J 1.6, with verbs
    remote.py         how it answers the central system's calls
    configuration.py  its configuration keys
    flat.py           FlatCharger: the flat dialect, the same verbs
    day.py, fleet.py, cli.py    chargers that live a day; `flask simulate`

The room imports `ocpp` (frames) and `clock`, nothing else of ours: it stands outside the system.
"""
