"""What a reset link opens: a page that asks for the new password.

The token stands behind the # of the link, which browsers send to nobody: it is in no log of a server or a proxy.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from flask import Blueprint, Response

blueprint = Blueprint("password_page", __name__)

_SCRIPT = """
"use strict";
const form = document.querySelector("form"), said = document.querySelector("output");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [password, again] = [form.password.value, form.again.value];
  if (password !== again) { said.textContent = "These are two different passwords."; return; }
  said.textContent = "One moment ...";
  const answer = await fetch("/api/auth/password-reset", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ resetToken: location.hash.slice(1), password }),
  });
  if (answer.ok) {
    form.hidden = true;
    said.textContent = "Done. Log in with the new password.";
    history.replaceState(null, "", location.pathname);
    return;
  }
  const problem = await answer.json();
  const why = (problem.errors || []).map((each) => (each.field === "resetToken" ? "The link " : "The password ") + each.message);
  said.textContent = why.join(" ") || problem.detail;
});
"""
_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 24rem; margin: 3rem auto; padding: 0 1rem }
label, input, button { display: block; width: 100%; box-sizing: border-box; margin-top: .5rem; font: inherit }
"""
_PAGE = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<title>A new password</title>
<style>{_STYLE}</style>
<h1>A new password</h1>
<form>
<label>New password <input name="password" type="password" autocomplete="new-password" minlength="8" required></label>
<label>The same again <input name="again" type="password" autocomplete="new-password" required></label>
<button>Set it</button>
</form>
<p><output></output></p>
<script>{_SCRIPT}</script>
</html>
"""


def _source(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; script-src {_source(_SCRIPT)}; style-src {_source(_STYLE)}; connect-src 'self';"
    " form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)


@blueprint.get("/password")
def password_page() -> Response:
    headers = {
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Response(_PAGE, headers=headers, content_type="text/html; charset=utf-8")
