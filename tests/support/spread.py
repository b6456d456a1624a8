"""Hosts behind a balancer, with a database and Redis: each with a network of its own where we may, else on ports."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from sqlalchemy.engine import make_url

from . import network
from .haproxy import HAProxy
from .mariadb import MariaDB
from .network import Host, Network
from .redis import Redis
from .server import GunicornServer


@dataclass
class Spread:
    """All parts run."""

    database: MariaDB
    #: The database, from here.
    url: str
    redis: Redis
    servers: list[GunicornServer]
    balancer: HAProxy
    #: With networks of their own: what each server runs on.
    hosts: list[Host] = field(default_factory=list)


def spread(stack: ExitStack, count: int, environ: Mapping[str, str], *, networks: bool) -> Spread:
    """Start them; `stack` ends them. `environ` is what the servers are told."""
    hosts: list[Host] = []
    if networks:
        hosts = stack.enter_context(Network(count)).hosts
        database = stack.enter_context(MariaDB(f"--bind-address=127.0.0.1,{network.DATABASE}"))
        database.execute("CREATE USER root@'10.77.0.%' IDENTIFIED BY ''")
        database.execute("GRANT ALL ON *.* TO root@'10.77.0.%' WITH GRANT OPTION")
        redis = stack.enter_context(Redis(network.REDIS))
    else:
        database, redis = stack.enter_context(MariaDB()), stack.enter_context(Redis())
    url = database.create_database()
    seen_by_hosts = make_url(url).set(host=network.DATABASE if networks else "127.0.0.1")
    servers: list[GunicornServer] = []
    for number in range(count):
        on = hosts[number] if networks else None
        told = {"REDIS_URL": redis.url, "TRUSTED_PROXIES": network.HERE if networks else "127.0.0.1"}
        if on is not None:
            told["HOST"] = on.address
        server = GunicornServer(
            seen_by_hosts.render_as_string(hide_password=False), dict(environ) | told, on=on
        )
        stack.callback(server.remove)
        servers.append(server)
    servers[0].prepare()
    for server in servers:
        server.start()
    balancer = stack.enter_context(HAProxy(*(f"{each.host}:{each.port}" for each in servers)))
    return Spread(database, url, redis, servers, balancer, hosts)
