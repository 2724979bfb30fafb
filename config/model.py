"""The settings of a process: those given, whether they go together, and what follows from them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from pydantic import field_validator, model_validator

from config.fields import Fields
from config.secret import is_strong, kept_secret
from local.addresses import embedded_database_url, embedded_redis_url


class Settings(Fields):
    """The typed settings, complete and checked."""

    @field_validator("database_url")
    @classmethod
    def _psycopg2_driver(cls, url: str | None) -> str | None:
        """SQLAlchemy 2.1 reads a bare `postgresql://` as psycopg 3; ours is psycopg2."""
        return re.sub(r"^postgres(ql)?(\+psycopg2)?://", "postgresql+psycopg2://", url) if url else url

    @model_validator(mode="after")
    def _complete(self) -> Settings:
        self.data_dir = self.data_dir.expanduser().absolute()
        self.jwt_secret = self._checked_secret()
        if self.sms_provider is None:
            if self.environment == "production":
                raise ValueError("SMS_PROVIDER: name one (twilio, sns; console prints codes into the log)")
            self.sms_provider = "console"
        if self.sms_provider == "twilio" and not (self.twilio_account_sid and self.twilio_auth_token):
            raise ValueError("SMS_PROVIDER: twilio needs TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN")
        if bool(self.s3_access_key) != bool(self.s3_secret_key):
            raise ValueError("S3_ACCESS_KEY and S3_SECRET_KEY: set both, or neither")
        if self.turn_urls and not self.turn_secret:
            raise ValueError("TURN_URLS: needs TURN_SECRET, the static-auth-secret of coturn")
        if len({bool(self.livekit_url), bool(self.livekit_api_key), bool(self.livekit_api_secret)}) > 1:
            raise ValueError("LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET: set all of them, or none")
        return self

    def _checked_secret(self) -> str:
        """The secret given, or outside production one made at the first start.

        Raises ValueError where production has none, or where it is short or too even to be random.
        """
        secret = self.jwt_secret
        if secret is None:
            if self.environment == "production":
                raise ValueError('JWT_SECRET: set it, for example to the output of "openssl rand -base64 48"')
            return kept_secret(self.data_dir / "jwt_secret")
        if self.environment == "production" and not is_strong(secret):
            raise ValueError("JWT_SECRET: too weak for production; use at least 32 random bytes")
        return secret

    @property
    def signing_secret(self) -> str:
        """The secret that signs tokens; always there once the settings are loaded."""
        assert self.jwt_secret is not None
        return self.jwt_secret

    @property
    def embeds_database(self) -> bool:
        """Whether no PostgreSQL was given, so that the embedded one serves."""
        return self.database_url is None and self.db_host is None

    @property
    def embeds_redis(self) -> bool:
        """Whether no Redis was given, so that the embedded Valkey serves."""
        return self.redis_url is None and self.redis_host is None

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of PostgreSQL."""
        if self.database_url:
            return self.database_url
        if self.db_host is None:
            return embedded_database_url(self.data_dir)
        password = f":{quote(self.db_password, safe='')}" if self.db_password else ""
        login = f"{quote(self.db_user, safe='')}{password}"
        if self.db_host.startswith("/"):
            return f"postgresql+psycopg2://{login}@/{self.db_name}?host={quote(self.db_host)}&port={self.db_port}"
        return f"postgresql+psycopg2://{login}@{self.db_host}:{self.db_port}/{self.db_name}"

    @property
    def redis(self) -> str:
        """The URL of Redis for pub/sub and presence."""
        if self.redis_url:
            return self.redis_url
        if self.redis_host is None:
            return embedded_redis_url(self.data_dir)
        password = f":{quote(self.redis_password, safe='')}@" if self.redis_password else ""
        return f"redis://{password}{self.redis_host}:{self.redis_port}/{self.redis_db}"

    @property
    def limits_redis(self) -> str:
        """The URL of Redis for rate limits."""
        return self.limits_redis_url or self.redis

    @property
    def broker(self) -> str:
        """The URL of Celery's broker; kombu spells a unix socket `redis+socket://`."""
        url = self.broker_url or self.redis
        return re.sub(r"^unix://", "redis+socket://", url).replace("?db=", "?virtual_host=")

    @property
    def uploads(self) -> Path:
        """The folder of uploaded files."""
        return (self.upload_dir or self.data_dir / "uploads").expanduser().absolute()

    @property
    def logs_json(self) -> bool:
        """Whether logs are JSON lines instead of coloured text."""
        return self.log_format == "json" or (self.log_format == "auto" and self.environment == "production")
