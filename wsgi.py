"""What gunicorn serves: `gunicorn wsgi:app`."""

import sys

from gevent import monkey

from charger_mgmt import create_app
from charger_mgmt.errors import AnotherProcess, ConfigurationError
from charger_mgmt.serving.process import process_of

#: gunicorn's "the application cannot be loaded": it does not try again.
CANNOT_LOAD = 4

try:
    app = create_app()
    # Only in a worker: `flask` commands and `gunicorn --check-config` find the application here, too.
    if monkey.is_module_patched("socket"):
        process_of(app).start()
except (ConfigurationError, AnotherProcess) as error:
    what = "Configuration: " if isinstance(error, ConfigurationError) else ""
    print(f"{what}{error}", file=sys.stderr)
    sys.exit(CANNOT_LOAD)
