"""Every setting, once. `config.toml` holds the defaults, `DAMS_<SECTION>__<NAME>` in the environment wins.

Secrets have no default: they come from the environment, or each from a file of that name in the folder
`DAMS_SECRETS_DIR`. Unknown keys are refused at start, so a misspelt setting is never silently ignored.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from app.core.root import ROOT as ROOT


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Database(Section):
    url: str = "postgresql+asyncpg://dams@127.0.0.1:5432/dams"
    owner_url: str = ""
    pool_size: int = 8
    statement_timeout_ms: int = 10_000
    lock_timeout_ms: int = 3_000
    idle_in_transaction_timeout_ms: int = 30_000
    connect_seconds: float = 5.0
    pool_seconds: float = 15.0


class Redis(Section):
    url: str = "redis://127.0.0.1:6379/0"


class Transport(Section):
    """kombu's options for Redis. Without the two restore options an unfinished task comes back after 100 s at best."""

    visibility_timeout: int = 60
    unacked_restore_interval: int = 2
    unacked_restore_throttle: int = 1
    socket_timeout: float = 10.0
    socket_connect_timeout: float = 2.0


class Celery(Section):
    """Celery's own setting names; web, relay, worker and beat read them from here alone."""

    broker_url: str = "redis://127.0.0.1:6379/0"
    result_backend: str = "redis://127.0.0.1:6379/0"
    broker_transport_options: Transport = Field(default_factory=Transport)
    broker_connection_retry_on_startup: bool = True
    task_acks_late: bool = True
    task_reject_on_worker_lost: bool = True
    task_time_limit: int = 45
    task_serializer: Literal["json"] = "json"
    result_serializer: Literal["json"] = "json"
    event_serializer: Literal["json"] = "json"
    accept_content: list[Literal["json"]] = ["json"]
    result_accept_content: list[Literal["json"]] = ["json"]
    result_expires: int = Field(default=7 * 86_400, ge=7 * 86_400)
    task_ignore_result: bool = False
    task_store_errors_even_if_ignored: bool = True
    task_create_missing_queues: bool = True
    task_track_started: bool = True
    worker_concurrency: int = Field(default=4, ge=1)
    worker_prefetch_multiplier: int = 1
    worker_soft_shutdown_timeout: float = 10.0
    worker_cancel_long_running_tasks_on_connection_loss: bool = False

    @model_validator(mode="after")
    def _a_task_ends_before_it_is_given_out_again(self) -> Self:
        if self.task_time_limit >= self.broker_transport_options.visibility_timeout:
            raise ValueError("celery.task_time_limit must be shorter than the broker's visibility_timeout")
        return self


class Pipelines(Section):
    """What DAMS itself asks of the pipelines that run on Celery."""

    answer_seconds: float = 10.0
    deliveries: int = 5
    check_aof: bool = True
    keep_days: int = 30


class Files(Section):
    folder: str = "files"


class Zeebe(Section):
    """The gateway and how to reach it; `token_*` and `client_*` are those of OAuth's client credentials."""

    address: str = "127.0.0.1:26500"
    channel: Literal["insecure", "tls", "oauth"] = "insecure"
    ca_file: str = ""
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    token_url: str = ""
    token_audience: str = ""
    call_seconds: float = 10.0
    calls_at_once: int = 8
    calls_per_second: float = 50.0
    stale_seconds: float = 60.0
    foreign_job_types: list[str] = []


class Temporal(Section):
    address: str = "127.0.0.1:7233"
    namespace: str = "default"
    call_seconds: float = 8.0


class Airflow(Section):
    """Its REST API; without a `url` Airflow is off."""

    url: str = ""
    username: str = "dams"
    password: SecretStr = SecretStr("")
    call_seconds: float = 8.0


class Payment(Section):
    url: str = "http://127.0.0.1:8099"
    currency: str = "USD"


class Connection(Section):
    """A server that flows may call; with `models`, service tasks too; with `private`, at an address of its own net."""

    url: str
    token: SecretStr = SecretStr("")
    models: bool = False
    private: bool = False


class Flow(Section):
    connections: dict[str, Connection] = Field(default_factory=dict[str, Connection])
    shell: bool = False


class Mail(Section):
    host: str = "127.0.0.1"
    port: int = 1025
    answer_seconds: float = 10.0
    sender: str = "DAMS <dams@localhost>"
    sink: str = ""
    username: str = ""
    password: SecretStr = SecretStr("")
    start_tls: bool = False


class Security(Section):
    secret_key: SecretStr = SecretStr("")
    envelope_key: SecretStr = SecretStr("")
    retired_envelope_keys: SecretStr = SecretStr("")
    session_minutes: int = 30
    token_minutes: int = 480
    sign_in_tries: int = 5
    sign_in_window_seconds: int = 60
    argon2_memory_kib: int = 19_456
    argon2_time_cost: int = 2
    argon2_parallelism: int = 1


class Web(Section):
    url_prefix: str = ""
    demo: bool = False
    debug: bool = False
    test_clock: bool = False
    view_timeout_seconds: float = 30.0
    max_body_bytes: int = 4 * 1024 * 1024
    secure_cookies: bool = True
    sign_up: bool = True


class Clinic(Section):
    name: str = "DAMS Clinic"
    time_zone: str = "America/New_York"
    reminder_hours: list[float] = Field(default_factory=lambda: [24.0, 2.0])
    settle_after_hours: float = 12.0
    newsletter_hours: float = 168.0


class Engine(Section):
    """Bounds of the BPMN step loop (one request, one instance, one script call)."""

    steps_per_request: int = 10_000
    seconds_per_request: float = 2.0
    steps_between_waits: int = 100_000
    script_seconds: float = 1.0
    script_memory_mb: int = 64
    variable_kb: int = 256
    instance_kb: int = 1024
    file_kb: int = 2048
    file_elements: int = 20_000


class Relay(Section):
    poll_seconds: float = 1.0
    batch: int = 32
    lease_seconds: float = 60.0
    max_attempts: int = 8


class Log(Section):
    level: str = "INFO"
    json_lines: bool = False


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DAMS_", env_nested_delimiter="__", extra="forbid")

    database: Database = Field(default_factory=Database)
    redis: Redis = Field(default_factory=Redis)
    celery: Celery = Field(default_factory=Celery)
    pipelines: Pipelines = Field(default_factory=Pipelines)
    files: Files = Field(default_factory=Files)
    zeebe: Zeebe = Field(default_factory=Zeebe)
    temporal: Temporal = Field(default_factory=Temporal)
    airflow: Airflow = Field(default_factory=Airflow)
    payment: Payment = Field(default_factory=Payment)
    flow: Flow = Field(default_factory=Flow)
    mail: Mail = Field(default_factory=Mail)
    security: Security = Field(default_factory=Security)
    web: Web = Field(default_factory=Web)
    clinic: Clinic = Field(default_factory=Clinic)
    engine: Engine = Field(default_factory=Engine)
    relay: Relay = Field(default_factory=Relay)
    log: Log = Field(default_factory=Log)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_section(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The environment of a process holds much, so pydantic passes over a section that it does not know."""
        for name in os.environ:
            section, inner, _ = name.removeprefix("DAMS_").lower().partition("__")
            if name.startswith("DAMS_") and inner and section not in cls.model_fields:
                raise ValueError(f"{name} in the environment: there is no section {section!r}")
        return given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get("DAMS_CONFIG", ROOT / "config.toml"))
        toml = TomlConfigSettingsSource(settings_cls, path)
        folder = os.environ.get("DAMS_SECRETS_DIR")
        if not folder:
            return init_settings, env_settings, toml
        secrets = NestedSecretsSettingsSource(
            file_secret_settings,
            secrets_dir=folder,
            secrets_dir_missing="error",
            secrets_prefix="DAMS_",
            secrets_nested_delimiter="__",
        )
        return init_settings, env_settings, secrets, toml


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read once.

    Raises:
        pydantic.ValidationError: a key is unknown or a value has the wrong type.
    """
    return Settings()
