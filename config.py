"""Every setting of Paperplane, read once from the environment or from a file named `.env`.

Durations are written `45s`, `1m`, `24h`, `30d` or as plain seconds and become seconds (int); sizes are written `64KB`,
`100MB` (powers of ten) or `64KiB` (powers of two) and become bytes (int). A bad or missing setting stops the start
with a sentence that says which one and why.
"""

from __future__ import annotations

import os
import re
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import BeforeValidator, ByteSize, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from local.addresses import embedded_database_url, embedded_redis_url

_DURATION = re.compile(r"^\s*(\d+)\s*([smhd]?)\s*$")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_MINIMUM_SECRET_BYTES = 32


def _seconds(value: object) -> object:
    """Reads `24h` as 86400; leaves what is not text to pydantic."""
    if not isinstance(value, str):
        return value
    match = _DURATION.match(value)
    if match is None:
        raise ValueError("write a duration as 45s, 1m, 24h, 30d or plain seconds")
    return int(match[1]) * _SECONDS[match[2]]


def _comma_separated(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Seconds = Annotated[int, BeforeValidator(_seconds), Field(ge=1)]
TextList = Annotated[list[str], NoDecode, BeforeValidator(_comma_separated)]


class Settings(BaseSettings):
    """The typed settings; each field is the environment variable of the same name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    # --- the process ---
    environment: Literal["development", "test", "production"] = Field(
        "development", description="production asks for a strong JWT_SECRET and a real SMS_PROVIDER, and logs JSON."
    )
    data_dir: Path = Field(Path("var"), description="Folder for all that `make run` writes.")
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: int = Field(8000, ge=1, le=65535, description="Port the API listens on.")
    web_workers: int = Field(1, ge=1, le=64, description="API processes (gunicorn workers).")
    web_connections: int = Field(12000, ge=10, description="Sockets of one API process; and as many requests.")
    shutdown_timeout: Seconds = Field(10, description="How long requests in flight may take after SIGTERM.")
    allowed_origins: TextList = Field(
        default_factory=list,
        description="Origins of browsers that may call the API and open sockets, separated by commas; "
        "in development every origin on localhost may.",
    )
    trusted_proxies: int = Field(0, ge=0, le=8, description="Proxies in front whose X-Forwarded-For is believed.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "console", "json"] = Field("auto", description="auto: JSON in production.")

    # --- PostgreSQL ---
    database_url: str | None = Field(None, description="PostgreSQL; wins over DB_*. Neither: the embedded server.")
    db_host: str | None = Field(None, description="PostgreSQL host, or folder of its unix socket.")
    db_port: int = Field(5432, ge=1, le=65535, description="PostgreSQL port.")
    db_name: str = Field("paperplane", description="Database.")
    db_user: str = Field("paperplane", description="Database role.")
    db_password: str | None = Field(None, description="Password of the role.")
    db_pool_size: int = Field(8, ge=1, le=200, description="Pooled connections of one process.")
    db_pool_overflow: int = Field(8, ge=0, le=200, description="Further connections of one process under load.")
    db_pool_timeout: Seconds = Field(3, description="Wait for a free pooled connection before answering 503.")
    db_connect_timeout: Seconds = Field(3, description="Time to connect.")
    db_statement_timeout: Seconds = Field(5, description="Longest statement.")
    db_lock_timeout: Seconds = Field(2, description="Longest wait for a lock.")
    db_idle_in_transaction_timeout: Seconds = Field(5, description="Longest pause inside a transaction.")
    postgres_bin_dir: Path | None = Field(
        None, description="Folder of the binaries of an installed PostgreSQL to embed instead of the packaged one."
    )

    # --- Redis ---
    redis_url: str | None = Field(None, description="Redis or Valkey; wins over REDIS_*. Neither: the embedded one.")
    redis_host: str | None = Field(None, description="Redis host.")
    redis_port: int = Field(6379, ge=1, le=65535, description="Redis port.")
    redis_db: int = Field(0, ge=0, description="Redis database.")
    redis_password: str | None = Field(None, description="Redis password.")
    limits_redis_url: str | None = Field(None, description="Redis of the rate limits; by default the same.")
    broker_url: str | None = Field(None, description="Celery's broker; by default the same Redis.")
    redis_timeout: Seconds = Field(1, description="Time to connect to Redis and for an answer.")

    # --- signing in ---
    jwt_secret: str | None = Field(
        None, description="Signs tokens; at least 32 bytes. In development one is made and kept in DATA_DIR."
    )
    jwt_expiry: Seconds = Field(86400, description="Life of an access token.")
    jwt_refresh_expiry: Seconds = Field(30 * 86400, description="Life of a refresh token.")
    ws_ticket_expiry: Seconds = Field(30, description="Life of a single-use ticket for /ws.")
    code_expiry: Seconds = Field(300, description="Life of a one-time code.")
    code_tries: int = Field(5, ge=1, le=20, description="Wrong tries that end a one-time code.")
    code_resend_after: Seconds = Field(60, description="Least time between two codes to one number.")
    code_limit_per_phone: int = Field(5, ge=1, description="Codes to one number in an hour.")
    code_limit_per_prefix: int = Field(
        500,
        ge=1,
        description="Codes in an hour to numbers alike but for the last four digits; a public server needs less.",
    )
    code_limit_per_address: int = Field(
        300, ge=1, description="Codes asked for from one address in an hour; a public server needs less, like 20."
    )
    code_limit_total: int = Field(5000, ge=1, description="Codes in an hour in all.")
    login_limit_per_phone: int = Field(10, ge=1, description="Failed sign-ins to one number in 15 minutes.")
    login_limit_per_address: int = Field(50, ge=1, description="Failed sign-ins from one address in 15 minutes.")
    sms_provider: Literal["console", "twilio", "sns"] | None = Field(
        None, description="How codes are sent; console (the default outside production) prints them and is no secret."
    )
    sms_sender: str = Field("Paperplane", description="Sender shown by the SMS provider (Twilio: a number of yours).")
    twilio_account_sid: str | None = Field(None, description="Twilio account.")
    twilio_auth_token: str | None = Field(None, description="Twilio token.")
    twilio_url: str = Field("https://api.twilio.com", description="Twilio's REST address.")
    sns_region: str | None = Field(None, description="AWS region of SNS.")

    # --- limits ---
    rate_limit_enabled: bool = Field(
        True,
        description="false turns limits off, for load tests: those of requests, frames, and codes and sign-ins by "
        "address, prefix and in all; never those on one number or account, nor the tries of a code.",
    )
    rate_limit_requests: int = Field(300, ge=1, description="Requests a user may make in RATE_LIMIT_WINDOW.")
    rate_limit_window: Seconds = Field(60, description="Window of RATE_LIMIT_REQUESTS.")
    rate_limit_messages: int = Field(120, ge=1, description="Messages a user may send in RATE_LIMIT_WINDOW.")
    rate_limit_searches: int = Field(
        60, ge=1, description="Searches for people or messages a user may make in RATE_LIMIT_WINDOW."
    )
    rate_limit_presence: int = Field(30, ge=1, description="`presence` frames of a user in RATE_LIMIT_WINDOW.")
    rate_limit_typing: int = Field(120, ge=1, description="`typing` frames of a user in RATE_LIMIT_WINDOW.")
    max_body_size: ByteSize = Field(ByteSize(1_000_000), description="Largest JSON body of a request.")
    max_message_length: int = Field(4096, ge=1, le=65536, description="Characters of a message.")
    message_edit_window: Seconds = Field(48 * 3600, description="How long its sender may edit a message.")
    max_group_members: int = Field(200_000, ge=2, description="Members of a group.")
    max_added_members: int = Field(200, ge=1, description="Members that one request may add.")
    max_pinned_chats: int = Field(100, ge=1, description="Chats that a user may pin.")

    # --- sockets ---
    ws_heartbeat: Seconds = Field(25, description="Pause between pings; a socket silent for two of them is closed.")
    ws_max_frame_size: ByteSize = Field(ByteSize(65536), description="Largest frame that a client may send.")
    ws_queue_size: ByteSize = Field(ByteSize(4_194_304), description="Bytes that may wait for one slow socket.")
    ws_frames_per_second: int = Field(50, ge=1, description="Frames a socket may send each second, on average.")
    ws_frames_burst: int = Field(200, ge=1, description="Frames a socket may send at once.")
    ws_connections_per_user: int = Field(50, ge=1, description="Sockets of one user on one API process.")
    typing_expiry: Seconds = Field(10, description="Life of a typing mark.")

    # --- files ---
    max_file_size: ByteSize = Field(ByteSize(100_000_000), description="Largest file.")
    upload_dir: Path | None = Field(
        None,
        description="Folder of uploaded files; by default DATA_DIR/uploads. With S3_BUCKET, of what is on its way.",
    )
    s3_bucket: str | None = Field(None, description="Bucket for files; by default they stay in UPLOAD_DIR.")
    s3_endpoint_url: str | None = Field(None, description="Address of an S3-compatible server; by default that of AWS.")
    s3_public_url: str | None = Field(
        None, description="Address of the same server for clients, in links to files; by default S3_ENDPOINT_URL."
    )
    s3_region: str | None = Field(None, description="Region; by default as AWS_REGION says, or us-east-1.")
    s3_access_key: str | None = Field(
        None, description="Access key; by default found in the ways of AWS, as a role of the machine."
    )
    s3_secret_key: str | None = Field(None, description="Secret key that belongs to S3_ACCESS_KEY.")
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto",
        description="Where the bucket's name goes: into the path or the host's name; auto: path with S3_ENDPOINT_URL.",
    )

    # --- looking at files ---
    media_cpu_limit: Seconds = Field(20, description="Processor time for looking at one file.")
    media_time_limit: Seconds = Field(60, description="Time for looking at one file.")
    media_memory_limit: ByteSize = Field(
        ByteSize(1_073_741_824),
        description="Memory that looking at one file may address; less than 512MiB is too little.",
    )
    media_growth_limit: ByteSize = Field(
        ByteSize(64_000_000), description="Disk for thumbnails and a clean copy, beyond the size of the file itself."
    )
    media_max_pixels: int = Field(32_000_000, ge=1, description="Pixels of an image, or of a frame of a video.")
    media_max_duration: Seconds = Field(86400, description="Longest video or sound.")

    # --- calls ---
    call_ring_timeout: Seconds = Field(45, description="How long a call rings.")

    # --- workers ---
    worker_concurrency: int = Field(2, ge=1, le=256, description="Processes of one Celery worker.")
    worker_metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port on which a worker shows its metrics; by default it shows none."
    )
    fanout_interval_ms: int = Field(100, ge=10, le=10_000, description="Least pause between fan-out jobs of a process.")
    fanout_batch: int = Field(
        1000,
        ge=1,
        description=(
            "Members counted in one statement by the unread fan-out. In larger chats a worker, and not the deletion,"
            " takes deleted messages out of the counts."
        ),
    )
    sweep_interval: Seconds = Field(5, description="Pause between sweeps for work that was lost.")

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
        return self

    def _checked_secret(self) -> str:
        """The secret given, or outside production one made at the first start.

        Raises ValueError where production has none, or where it is short or too even to be random.
        """
        secret = self.jwt_secret
        if secret is None:
            if self.environment == "production":
                raise ValueError('JWT_SECRET: set it, for example to the output of "openssl rand -base64 48"')
            return _kept_secret(self.data_dir / "jwt_secret")
        if self.environment == "production" and (
            len(secret.encode()) < _MINIMUM_SECRET_BYTES or len(set(secret)) < 12 or "change" in secret.lower()
        ):
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


def _kept_secret(path: Path) -> str:
    """The secret in the file; makes it once, whole or not at all, when two processes start together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def load(**overrides: Any) -> Settings:
    """Reads the settings; leaves the process with a readable list of what is wrong, never with a stack trace."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in problem['loc']).upper() or 'settings'}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise SystemExit("Paperplane cannot start, because of its settings:\n" + "\n".join(lines)) from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return load()


def example() -> str:
    """The text of `.env.example`: every setting with what it means and its default."""
    lines = ["# Settings of Paperplane: copy to .env and change what you need. Everything has a default.", ""]
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else ",".join(default) if isinstance(default, list) else str(default)
        lines += [f"# {field.description}", f"#{name.upper()}={shown.lower() if isinstance(default, bool) else shown}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(example(), end="")
