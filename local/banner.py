"""What `make run` says once Paperplane is ready: where it is, how to sign in, how to stop."""

from __future__ import annotations

from config import Settings


def address(settings: Settings) -> str:
    """The URL under which this machine reaches the API."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def banner(settings: Settings, seconds: float) -> str:
    """The text; `seconds` is how long the start took."""
    url = address(settings)
    if settings.sms_provider == "console":
        code = f"One-time codes appear in the log here and in {settings.data_dir / 'sms.log'}."
    else:
        code = f"One-time codes are sent by {settings.sms_provider}."
    return f"""
  Paperplane is ready after {seconds:.1f} s:  {url}
  Documentation, to read and to try out:  {url}/docs

  Sign up:
    curl {url}/api/auth/register -H 'Content-Type: application/json' \\
      -d '{{"phone": "+15550001111", "password": "correct horse", "first_name": "Ada", "username": "ada"}}'
    curl {url}/api/auth/verify -H 'Content-Type: application/json' \\
      -d '{{"phone": "+15550001111", "code": "123456"}}'
  {code}
  Data is kept in {settings.data_dir}. Ctrl-C stops everything.
"""
