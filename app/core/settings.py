"""Every setting, once. `config.toml` holds the defaults, `DAMS_<SECTION>__<NAME>` in the environment wins.

Secrets have no default: they come from the environment or from a file with mode 0600. Unknown keys are
refused at start, so a misspelt setting is never silently ignored.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

ROOT = Path(__file__).resolve().parents[2]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Database(Section):
    url: str = "postgresql+asyncpg://dams@127.0.0.1:5432/dams"
    pool_size: int = 8
    statement_timeout_ms: int = 10_000
    lock_timeout_ms: int = 3_000


class Redis(Section):
    url: str = "redis://127.0.0.1:6379/0"


class Zeebe(Section):
    address: str = "127.0.0.1:26500"


class Temporal(Section):
    address: str = "127.0.0.1:7233"


class Mail(Section):
    host: str = "127.0.0.1"
    port: int = 1025
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


class Clinic(Section):
    name: str = "DAMS Clinic"
    time_zone: str = "America/New_York"


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
    batch: int = 8
    lease_seconds: float = 60.0
    max_attempts: int = 8


class Log(Section):
    level: str = "INFO"
    json_lines: bool = False


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DAMS_", env_nested_delimiter="__", extra="forbid")

    database: Database = Field(default_factory=Database)
    redis: Redis = Field(default_factory=Redis)
    zeebe: Zeebe = Field(default_factory=Zeebe)
    temporal: Temporal = Field(default_factory=Temporal)
    mail: Mail = Field(default_factory=Mail)
    security: Security = Field(default_factory=Security)
    web: Web = Field(default_factory=Web)
    clinic: Clinic = Field(default_factory=Clinic)
    engine: Engine = Field(default_factory=Engine)
    relay: Relay = Field(default_factory=Relay)
    log: Log = Field(default_factory=Log)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = Path(os.environ.get("DAMS_CONFIG", ROOT / "config.toml"))
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, path)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read once.

    Raises:
        pydantic.ValidationError: a key is unknown or a value has the wrong type.
    """
    return Settings()
