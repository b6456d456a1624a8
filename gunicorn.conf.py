"""How gunicorn serves the system: `gunicorn wsgi:app` reads this file by itself.

What can be set comes from the environment, see config.py; this file holds what belongs to the server.
"""

import errno
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from gunicorn.glogging import Logger

_ROOT = Path(__file__).resolve().parent

# The first account's password is for `flask user create-first` alone. What a process was started with can be read
# for as long as it lives (/proc/…/environ), so the server starts over without it.
if os.environ.pop("ADMIN_PASSWORD", None) is not None and "gunicorn.app.wsgiapp" in sys.modules:
    os.execv(sys.executable, sys.orig_argv)

# The configuration is read by a child: importing the application here, in the master, before the worker
# has patched the standard library for gevent, would leave unpatched locks in it.
_READ_SETTINGS = """
import json, os, sys
import config
from charger_mgmt.errors import ConfigurationError
try:
    settings = config.load()
except ConfigurationError as error:
    print(f"Configuration: {error}", file=sys.stderr)
    sys.exit(os.EX_CONFIG)
print(json.dumps([
    settings.host, settings.port, settings.log_level, settings.access_log, settings.trusted_proxies,
    settings.web_concurrency, settings.drain_seconds if settings.redis_url else 0,
]))
"""


def _settings() -> list:
    """HOST, PORT, LOG_LEVEL, ACCESS_LOG, TRUSTED_PROXIES, WEB_CONCURRENCY, DRAIN_SECONDS; a configuration that cannot work ends the process here."""
    reader = subprocess.run([sys.executable, "-c", _READ_SETTINGS], cwd=_ROOT, stdout=subprocess.PIPE)
    if reader.returncode:
        sys.exit(reader.returncode)
    return json.loads(reader.stdout)


def _raise_open_files_limit() -> int:
    """Allow as many open files as the system lets us: every socket is one. The limit in force."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1 << 20 if hard == resource.RLIM_INFINITY else hard


_host, _port, _log_level, _access_log, _proxies, _workers, _drain_seconds = _settings()

bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
chdir = str(_ROOT)
proc_name = "charger_mgmt"
worker_class = "gevent"
workers = _workers

# One charger is one connection for as long as it lives. gunicorn's default of 1000 would leave the 1001st
# waiting in silence; 12,000 sockets fit one worker, if the system grants the files.
worker_connections = max(64, min(12_000, _raise_open_files_limit() - 256))
# A whole site reconnects at once after an outage; the kernel cuts this to net.core.somaxconn.
backlog = 4096

# A worker whose event loop stands still for this long is beyond help.
timeout = 60
# After SIGTERM chargers' sockets are closed at once (see below); what may still run is an operator's
# request, which waits at most OPERATOR_WAIT for its charger. Platforms kill after 30 seconds.
graceful_timeout = 15 + _drain_seconds
# A connection's first request has as long to come as the next one. Shorter, and chargers behind slow lines or a
# stall of this machine are reset; how many connections wait does not hold up an end, see below.
keepalive = 20
# As long as an answer may take to be read: whoever does not read holds a page in memory.
_SEND_SECONDS = 30
# Room for a long bearer token or Basic credentials.
limit_request_field_size = 16_380

# The PROXY protocol (v1 and v2) from trusted proxies only; headers are charger_mgmt/proxies.py's part.
if _proxies:
    proxy_protocol = "auto"
    proxy_allow_ips = ",".join(_proxies)
forwarded_allow_ips = ""

# gunicorn's control socket has one path for every server of a user: two of them would quarrel.
control_socket_disable = True
if os.path.isdir("/dev/shm"):
    worker_tmp_dir = "/dev/shm"  # the worker's sign of life must not wait for a disk


# One line per event: time (UTC), level, where, what.
_LINE = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
logging.Formatter.converter = time.gmtime
logging.Formatter.default_time_format = "%Y-%m-%dT%H:%M:%S"
logging.Formatter.default_msec_format = "%s.%03dZ"


class OneLine(logging.Formatter):
    """A message is one line, whatever a charger put into it: nobody but us writes lines into the log."""

    def formatMessage(self, record) -> str:  # noqa: N802
        line = super().formatMessage(record)
        if line.isprintable():
            return line
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


class Repeats(logging.Filter):
    """Lines that say the same again and again are counted, not repeated: one client must not fill a disk.

    The same message about the same subject (its first argument: a charger, an address) passes MOST times in a
    WINDOW of seconds, any message MOST_IN_ALL times; how many were left out is said at the next window's begin.
    """

    WINDOW, MOST, MOST_IN_ALL = 10.0, 10, 2000

    def __init__(self) -> None:
        super().__init__()
        self._window = 0.0
        self._seen: dict[tuple[str, str, str], int] = {}
        self._in_all: dict[tuple[str, str], int] = {}

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        if record.levelno >= logging.ERROR:
            return True
        left_out = 0
        if not self._window <= record.created < self._window + self.WINDOW:
            left_out = self._begins(record.created)
        template = str(record.msg)
        subject = str(record.args[0])[:200] if isinstance(record.args, tuple) and record.args else ""
        kind, every = (record.name, template, subject), (record.name, template)
        self._in_all[every] = self._in_all.get(every, 0) + 1
        self._seen[kind] = self._seen.get(kind, 0) + 1
        if self._seen[kind] > self.MOST or self._in_all[every] > self.MOST_IN_ALL:
            return False
        if left_out:
            record.msg, record.args = (
                f"{record.getMessage()} (before it, {left_out} lines like others were left out)",
                (),
            )
        return True

    def _begins(self, now: float) -> int:
        """A new window; how many lines the one before has left out."""
        left_out = sum(count - self.MOST for count in self._seen.values() if count > self.MOST)
        self._window = now
        self._seen.clear()
        self._in_all.clear()
        return left_out


logging.basicConfig(level=_log_level)
for _handler in logging.getLogger().handlers:
    _handler.setFormatter(OneLine(_LINE))
    _handler.addFilter(Repeats())
logging.getLogger("alembic").setLevel(logging.WARNING)


class Log(Logger):
    """gunicorn's own lines in the same form; no access line for the platform's health checks."""

    error_fmt = access_fmt = _LINE
    datefmt = None

    def setup(self, cfg) -> None:
        super().setup(cfg)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(OneLine(_LINE))
        for handler in self.error_log.handlers:
            handler.addFilter(Repeats())

    def atoms(self, resp, req, environ, request_time) -> dict:
        atoms = super().atoms(resp, req, environ, request_time)
        if "/auth/" in environ.get("PATH_INFO", ""):  # a query there may hold an identity provider's code
            atoms["r"] = f"{environ.get('REQUEST_METHOD')} {environ.get('PATH_INFO')}?…"
        return atoms

    def access(self, resp, req, environ, request_time) -> None:
        # A request that could not be read has no path.
        if not environ.get("PATH_INFO", "").startswith("/health/"):
            super().access(resp, req, environ, request_time)

    def exception(self, msg, *args, **kwargs) -> None:
        # A charger that redials while the worker ends finds the listener closed; it will dial again.
        error = sys.exc_info()[1]
        if isinstance(error, OSError) and error.errno == errno.EBADF:
            self.info("A connection came while the worker was ending.")
        elif isinstance(error, TimeoutError):
            self.info("A client took no answer for %d s: its connection was ended.", _SEND_SECONDS)
        else:
            super().exception(msg, *args, **kwargs)


logger_class = Log
loglevel = _log_level.lower()
accesslog = "-" if _access_log else None
access_log_format = '%(h)s "%(r)s" %(s)s, %(b)s bytes, %(M)s ms'


def post_worker_init(worker) -> None:
    """SIGTERM also closes the chargers' sockets, so that they redial at once and the worker can go."""
    from gunicorn.workers import ggevent

    from charger_mgmt.gateway.shutdown import shut_down_on_sigterm
    from charger_mgmt.serving.process import process_of

    process = process_of(worker.wsgi)
    own = process.gateway

    class Listener(ggevent.StreamServer):
        """What gunicorn is about to accept connections with."""

        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            # Others have their turn between: a hundred (gevent's own) that say nothing hold up everybody for 30 ms, and
            # ten that log in or dial for 20.
            self.max_accept = 2
            own.listeners.append(self)

    ggevent.StreamServer = Listener
    own.places.total = worker.cfg.worker_connections
    worker.timeout_ctx = lambda: own.waiting.within(keepalive)
    handle_request = worker.handle_request

    def within_limits(listener_name, request, client, address):
        client.settimeout(_SEND_SECONDS)  # a charger's socket keeps its own time
        return handle_request(listener_name, request, client, address)

    worker.handle_request = within_limits
    shut_down_on_sigterm(process.drain, process.stop)
    # A terminal sends Ctrl-C to master and worker alike; the master's word (SIGQUIT) is enough.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def worker_int(worker) -> None:
    """SIGQUIT: the same, before gunicorn ends the worker."""
    from charger_mgmt.serving.process import process_of

    process_of(worker.wsgi).stop()
