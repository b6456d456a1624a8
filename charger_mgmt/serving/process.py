"""One process, put together: what it consists of, and what it starts."""

from __future__ import annotations

import uuid

from flask import Flask
from sqlalchemy import Engine

from ..access.accounts import ResetLinks
from ..access.door import Refusals
from ..access.log_ins import Devices
from ..access.provider import Provider
from ..access.throttle import LoginThrottle
from ..bus import Bus
from ..database.database import Database
from ..database.sole import SoleProcess
from ..feed import DoorTried, Feed, LogInTried
from ..gateway import watch
from ..gateway.admission import Admission
from ..gateway.central_system import CentralSystem
from ..gateway.changes import Changes
from ..gateway.connection import Connections
from ..gateway.delivery import Delivery
from ..gateway.dispatch import Dispatcher
from ..gateway.fleet import Fleet
from ..gateway.follow_ups import FollowUps
from ..gateway.last_seen import LastSeen
from ..gateway.pacing import Pacing
from ..gateway.parts import Gateway
from ..gateway.places import Places
from ..gateway.registry import Registry
from ..gateway.requests import Waiting
from ..gateway.shutdown import drain, shutdown
from ..gateway.sources import Sources
from ..intake.committer import Committer
from ..journal.writer import Journal
from ..settings import Settings
from ..websocket.garbage import Garbage
from ..websocket.keepalive import KeepAlive
from . import retention
from .handlers import EFFECTS, HANDLERS


class Process:
    """Everything of which a process has one. `rest`: flask-sqlalchemy's engine."""

    def __init__(self, settings: Settings, rest: Engine) -> None:
        database, feed, process_id = Database(settings, rest), Feed(), str(uuid.uuid4())
        bus = None
        if settings.redis_url:
            name = database.engine.url.database or ""
            bus = Bus(settings.redis_url, name, process_id)
            feed.beyond = bus.publish
        self.central = CentralSystem(
            settings=settings,
            process_id=process_id,
            database=database,
            sole=SoleProcess(database.engine),
            feed=feed,
            committer=Committer(database, settings, HANDLERS, feed),
            registry=Registry(),
            last_seen=LastSeen(),
            effects=EFFECTS,
            journal=Journal(database.rest, settings.message_journal_percent),
            bus=bus,
        )
        # Where chargers enter
        at_once = -(-settings.admissions_at_once // settings.web_concurrency)  # 0: no limit
        pacing, sources, places = Pacing(at_once), Sources(settings), Places()
        self.gateway = Gateway(
            admission=Admission(database, settings, pacing, sources, places),
            connections=Connections(self.central, pacing, sources, places),
            dispatcher=Dispatcher(self.central, sources, FollowUps(self.central)),
            keepalive=KeepAlive(settings.websocket_ping_interval, settings.heartbeat_timeout),
            places=places,
            waiting=Waiting(),
        )
        Delivery(self.central)
        Changes(self.central)
        self.fleet = Fleet(self.central, self.gateway, bus) if bus is not None else None
        # Where operators log in
        self.throttle = LoginThrottle()
        if bus is not None:
            others = bus  # mypy
            self.throttle.tell = lambda keys, counts: others.publish([LogInTried(keys, counts)])
            sources.tell = lambda tried: others.publish([tried])
            feed.subscribe(DoorTried, sources.hear)
            feed.subscribe(LogInTried, lambda tried: self.throttle.hear(tried.keys, counts=tried.counts))
        self.devices = Devices(settings.signing_secrets)
        self.reset_links = ResetLinks(settings.signing_secrets)
        self.provider = Provider(settings, database.rest)
        self.refusals = Refusals()

    @property
    def waiting(self) -> Waiting:
        """Connections between two requests, and in the middle of one."""
        return self.gateway.waiting

    def start(self) -> None:
        """Begin to serve: put right what a killed process left behind, start the greenlets.

        Raises AnotherProcess and ConfigurationError, when the database has something against it.
        """
        central, gateway = self.central, self.gateway
        central.committer.start()
        retention.start(central)
        central.journal.start()
        if central.bus is not None:
            central.bus.start()
        watch.start(central, self.fleet)
        gateway.keepalive.start()
        gateway.places.start(gateway.waiting)
        Garbage(gateway.keepalive).start()

    def drain(self) -> None:
        """Let the chargers go to other processes, if there are some, before `stop`."""
        drain(self.central, self.gateway)

    def stop(self) -> None:
        """Let every charger go, in order."""
        shutdown(self.central, self.gateway, self.fleet.give_up if self.fleet else self.central.sole.release)


def process_of(app: Flask) -> Process:
    """The process that an application is served by."""
    process: Process = app.extensions["charger_mgmt"]
    return process
