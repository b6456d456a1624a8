"""What gunicorn serves: `gunicorn wsgi:app`."""

import os
import sys

from charger_mgmt import create_app
from charger_mgmt.errors import AnotherProcess, ConfigurationError

#: gunicorn's "the application cannot be loaded": it does not try again.
CANNOT_LOAD = 4

try:
    app = create_app()
    if os.environ.get("FLASK_RUN_FROM_CLI") != "true":  # `flask` commands find the application here too
        app.extensions["central_system"].start()
except (ConfigurationError, AnotherProcess) as error:
    what = "Configuration: " if isinstance(error, ConfigurationError) else ""
    print(f"{what}{error}", file=sys.stderr)
    sys.exit(CANNOT_LOAD)
