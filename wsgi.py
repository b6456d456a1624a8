"""What gunicorn serves: `gunicorn wsgi:app`."""

from charger_mgmt import create_app

app = create_app()
app.extensions["central_system"].start()
