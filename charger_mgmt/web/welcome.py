"""What a browser finds at `/`: what this is, and where things are."""

from flask import Blueprint, Response

blueprint = Blueprint("welcome", __name__)

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>charger_mgmt</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 3rem auto; padding: 0 1rem }
dt { font-weight: 600; margin-top: 1rem }
</style>
<h1>Charger management</h1>
<p>A real-time management system for electric-vehicle chargers that speak OCPP 1.6. It has a REST API, and no pages
but this one.</p>
<dl>
<dt>Is it ready?</dt>
<dd><a href="/health/ready">/health/ready</a></dd>
<dt>REST API, for operators</dt>
<dd><code>/api</code>, with a token from <code>POST /api/auth/login</code>. All of it is described by
<code>GET /api/openapi.json</code>, and in the README with examples that can be pasted.</dd>
<dt>Chargers that speak OCPP 1.6J</dt>
<dd>dial <code>ws://&lt;this host&gt;/ocpp/&lt;identity&gt;</code>, subprotocol <code>ocpp1.6</code></dd>
<dt>Chargers that speak the flat JSON dialect</dt>
<dd>dial <code>ws://&lt;this host&gt;/ocpp</code></dd>
</dl>
</html>
"""


@blueprint.get("/")
def welcome() -> Response:
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(_PAGE, headers=headers, content_type="text/html; charset=utf-8")
