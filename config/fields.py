"""Every setting: its default, what it may be, what it means; docs/configuration.md and .env.example are made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ByteSize, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.kinds import Seconds, SecondsOrZero, TextList


class Fields(BaseSettings):
    """The settings as they are given; each is the environment variable of the same name in capitals."""

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
    body_timeout: Seconds = Field(
        60, description="How long a JSON body may take to arrive, and each piece of a file or of an answer to be taken."
    )
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
    rate_limit_uploads: int = Field(60, ge=1, description="Uploads a user may begin in RATE_LIMIT_WINDOW.")
    rate_limit_downloads: int = Field(
        1200, ge=1, description="Files, thumbnails too, that a user may ask for in RATE_LIMIT_WINDOW."
    )
    rate_limit_presence: int = Field(30, ge=1, description="`presence` frames of a user in RATE_LIMIT_WINDOW.")
    rate_limit_typing: int = Field(120, ge=1, description="`typing` frames of a user in RATE_LIMIT_WINDOW.")
    rate_limit_receipts: int = Field(
        1200, ge=1, description="`read_receipt` and `delivered` frames of a user in RATE_LIMIT_WINDOW."
    )
    user_requests_at_once: int = Field(
        6,
        ge=1,
        description="Requests and frames of a user, but for messages sent, that one API process works on at once; each "
        "may hold a connection to PostgreSQL, so it is well below DB_POOL_SIZE and DB_POOL_OVERFLOW together.",
    )
    user_requests_waiting: int = Field(
        100, ge=0, description="Requests and frames of a user that may wait for others of the same user there."
    )
    max_body_size: ByteSize = Field(ByteSize(1_000_000), description="Largest JSON body of a request.")
    max_message_length: int = Field(4096, ge=1, le=65536, description="Characters of a message.")
    history_cache_size: ByteSize = Field(
        ByteSize(16_777_216), description="Bytes of pages of history that each API process keeps; 0: none."
    )
    message_edit_window: Seconds = Field(48 * 3600, description="How long its sender may edit a message.")
    max_group_members: int = Field(200_000, ge=2, description="Members of a group.")
    max_added_members: int = Field(200, ge=1, description="Members that one request may add.")
    max_pinned_chats: int = Field(100, ge=1, description="Chats that a user may pin.")

    # --- sockets ---
    ws_heartbeat: Seconds = Field(
        25,
        description="Pause between pings; a socket silent for two of them is closed. Who is gone with a process is "
        "offline within nearly two of them and two SWEEP_INTERVALs.",
    )
    ws_max_frame_size: ByteSize = Field(ByteSize(65536), description="Largest frame that a client may send.")
    ws_queue_size: ByteSize = Field(ByteSize(4_194_304), description="Bytes that may wait for one slow socket.")
    ws_frames_per_second: int = Field(50, ge=1, description="Frames a socket may send each second, on average.")
    ws_frames_burst: int = Field(200, ge=1, description="Frames a socket may send at once.")
    ws_connections_per_user: int = Field(50, ge=1, description="Sockets of one user on one API process.")
    typing_expiry: Seconds = Field(10, description="Life of a typing mark.")

    # --- files ---
    max_file_size: ByteSize = Field(ByteSize(100_000_000), description="Largest file.")
    file_quota: ByteSize = Field(
        ByteSize(10_000_000_000),
        description="Bytes that all files of a user may have together, with what is made of them; unfinished ones too.",
    )
    uploads_at_once: int = Field(10, ge=1, description="Forms with files that one process takes from a user at a time.")
    files_waiting: int = Field(
        20, ge=1, description="Files of a user that may wait to be looked at; more are refused until some are done."
    )
    uploads_unfinished: int = Field(
        100,
        ge=1,
        description="Uploads of a user that may be begun and not finished (tus); more are refused until then.",
    )
    upload_expiry: Seconds = Field(86400, description="How long an upload may take that goes on later (tus).")
    file_link_expiry: Seconds = Field(3600, description="Life of a signed link to a file.")
    file_serving: Literal["auto", "stream", "nginx"] = Field(
        "auto",
        description="Who sends files: auto: the API those of a folder, S3 its own by a link; stream: always the API; "
        "nginx: nginx those of a folder, by X-Accel-Redirect.",
    )
    unsent_file_expiry: Seconds = Field(86400, description="How long a file is kept that nothing shows.")
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

    clamd_address: str | None = Field(
        None,
        pattern=r"^(/.+|.+:[0-9]{1,5})$",
        description="Where a clamd looks for viruses, `host:port` or the path of a socket; by default nobody does.",
    )
    clamd_timeout: Seconds = Field(30, description="How long clamd may take for a piece of a file, and to answer.")

    # --- calls ---
    call_ring_timeout: Seconds = Field(45, description="How long a call rings.")
    call_disconnect_timeout: Seconds = Field(
        30, description="How long the devices of a call may be without a socket, all of them, before it ends."
    )
    call_sweep_interval: Seconds = Field(2, description="Pause between sweeps for calls that are due to end.")
    rate_limit_calls: int = Field(30, ge=1, description="Calls a user may start in RATE_LIMIT_WINDOW.")
    rate_limit_call_signals: int = Field(
        600, ge=1, description="`call_signal` frames that a user may send in RATE_LIMIT_WINDOW."
    )
    call_signal_max_size: ByteSize = Field(ByteSize(16_384), description="Largest signal of a call, as JSON.")
    call_signal_expiry: Seconds = Field(60, description="How long a signal waits for the other device's socket.")
    call_signals_waiting: int = Field(
        600, ge=1, description="Signals kept for one side of a call; those of the last CALL_SIGNAL_EXPIRY."
    )
    call_signals_size: ByteSize = Field(
        ByteSize(262_144),
        description="Bytes of signals kept for one side of a call; those of the last CALL_SIGNAL_EXPIRY.",
    )
    call_max_participants: int = Field(100, ge=2, description="People in one group call.")
    stun_urls: TextList = Field(
        default_factory=list, description="STUN servers of clients, as stun:stun.example.org:3478."
    )
    turn_urls: TextList = Field(
        default_factory=list,
        description="TURN servers of clients, as turn:turn.example.org:3478; they need TURN_SECRET.",
    )
    turn_secret: str | None = Field(None, description="The secret that coturn knows as static-auth-secret.")
    turn_expiry: Seconds = Field(3600, description="Life of the TURN credentials that clients are given.")
    livekit_url: str | None = Field(
        None, description="Address of LiveKit for clients, as wss://livekit.example.org; without it no group calls."
    )
    livekit_api_key: str | None = Field(None, description="API key of LiveKit.")
    livekit_api_secret: str | None = Field(None, description="Secret that belongs to LIVEKIT_API_KEY.")
    livekit_token_expiry: Seconds = Field(600, description="How long a client may take to join LiveKit's room.")

    # --- workers ---
    worker_concurrency: int = Field(2, ge=1, le=256, description="Processes of one Celery worker.")
    worker_metrics_port: int | None = Field(
        None, ge=1, le=65535, description="Port on which a worker shows its metrics; by default it shows none."
    )
    fanout_interval_ms: int = Field(
        250,
        ge=10,
        le=10_000,
        description=(
            "Least pause between jobs of a process that count unread messages, those that settle statuses, and those"
            " that show a large chat which has changed."
        ),
    )
    search_interval_ms: int = Field(
        1000, ge=10, le=60_000, description="Least pause between jobs of a process that index messages for search."
    )
    search_patience: SecondsOrZero = Field(
        60,
        le=86_400,
        description=(
            "How long messages wait at most to be indexed for search while API processes are busy; 0: not at all, and"
            " 24h at most."
        ),
    )
    busy_percent: int = Field(
        20,
        ge=1,
        le=100,
        description=(
            "Percent of a machine's processors above which the API processes on it, in all containers, are busy"
            " together, so that indexing for search waits. Less where containers may use only some of them."
        ),
    )
    fanout_batch: int = Field(
        1000,
        ge=1,
        description=(
            "Members counted in one statement by the unread fan-out. In larger chats a worker, and not the deletion,"
            " takes deleted messages out of the counts."
        ),
    )
    sweep_interval: Seconds = Field(5, description="Pause between sweeps for work that was lost.")
