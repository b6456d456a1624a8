"""What gunicorn serves: `gunicorn wsgi:app`."""

import os

from charger_mgmt import create_app

app = create_app()
if os.environ.get("FLASK_RUN_FROM_CLI") != "true":  # `flask` commands find the application here too
    app.extensions["central_system"].start()
