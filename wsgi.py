"""The WSGI application for gunicorn and the `flask` command: `gunicorn -c gunicorn.conf.py wsgi:app`."""

from __future__ import annotations

from app.factory import create_app

app = create_app()
