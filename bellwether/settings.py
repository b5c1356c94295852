"""Settings of a process: `BELLWETHER_*` in the environment over `bellwether.toml` in the working directory.

Read once, validated without touching the network. What is missing stops the start with one line that names it; nothing
has a default password.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from store.errors import Misconfigured
from telemetry import Broker, Trust

if TYPE_CHECKING:
    from prognosis.faults import FailureMode

FILE = Path("bellwether.toml")
# As long as the keys that tokens are signed with must be: shorter can be guessed from one token.
SECRET_CHARACTERS = 32


class Settings(BaseSettings):
    """What a role may need. `docs/settings.md` is made for people; this is what is read."""

    model_config = SettingsConfigDict(env_prefix="BELLWETHER_", toml_file=FILE, extra="ignore", frozen=True)

    database_url: SecretStr | None = None
    mqtt_url: SecretStr | None = None
    mqtt_username: str | None = None
    mqtt_password: SecretStr | None = None
    mqtt_client_id: str = "bellwether-ingest"
    mqtt_ca_file: Path | None = None
    mqtt_certificate_file: Path | None = None
    mqtt_key_file: Path | None = None
    mqtt_gate_username: str | None = None
    mqtt_gate_password: SecretStr | None = None
    api_url: str | None = None
    secret: SecretStr | None = None
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=1, le=65535)
    http_secure: bool = False
    """Whether browsers reach the pages over TLS: the session cookie is then kept off plain HTTP."""
    api_docs: bool = False
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Where `ingest` shows its figures to Prometheus; nowhere unless told."""
    mapping: list[dict[str, Any]] | None = None
    """What devices that speak another language mean, see `docs/mapping.md`."""
    sparkplug_host_id: str = Field(default="bellwether", pattern=r"^[^+#/]*$")
    """What edge nodes know `ingest` by, see `docs/sparkplug.md`; empty: they are not heard."""
    sparkplug_reorder_s: float = Field(default=2.0, ge=0.0, le=60.0)
    oldest_days: int = Field(default=0, ge=0, le=36_500)
    """Readings older than so many days are dropped, and counted as such; 0: none."""
    compress_after_days: int = Field(default=8, ge=1, le=3650)
    """How old a chunk of readings is when `migrate` lets it be compressed, where the licence allows."""
    fault_library: Path | None = None
    """Failure modes of one's own, see `docs/diagnosis.md`."""
    retrain_days: float = Field(default=7.0, ge=0.0, le=366.0)
    """How often what the detectors have learnt of each machine is learnt anew and tried; 0: only when asked."""
    webhooks_to_loopback: bool = False
    """Whether webhooks may go to this machine, over plain HTTP too: for trying things out."""
    channels_to_private: bool = False
    """Whether people may be reached through the house's own network, and this machine: a mail server there."""
    file_mib: int = Field(default=25, ge=1, le=1024)
    """How large a file of a ticket may be, in MiB; then those of one ticket, and of one tenant, together."""
    ticket_files_mib: int = Field(default=200, ge=1, le=1_048_576)
    tenant_files_mib: int = Field(default=10_240, ge=1, le=1_048_576)
    tenants: str = "demo"
    """Tenants that `migrate` makes, separated by commas."""
    ingest_password: SecretStr | None = None
    api_password: SecretStr | None = None
    notify_password: SecretStr | None = None
    admin_password: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def need_database_url(self) -> str:
        return _needed("database_url", self.database_url, "postgresql://user:password@host:5432/bellwether")

    def need_secret(self) -> str:
        secret = _needed("secret", self.secret, f"at least {SECRET_CHARACTERS} random characters")
        if len(secret) < SECRET_CHARACTERS or len(set(secret)) < SECRET_CHARACTERS // 4:
            raise Misconfigured(f"BELLWETHER_SECRET is weak: set it to at least {SECRET_CHARACTERS} random characters")
        return secret

    def need_api_url(self) -> str:
        if not self.api_url:
            raise Misconfigured("BELLWETHER_API_URL is not set: for example http://127.0.0.1:8080")
        return self.api_url

    def need_broker(self) -> Broker:
        url = _needed("mqtt_url", self.mqtt_url, "mqtt://user:password@host:1883")
        password = self.mqtt_password.get_secret_value() if self.mqtt_password else None
        return self._broker(url, self.mqtt_username, password)

    def gate_broker(self) -> Broker | None:
        """The broker as its administrator sees it; None where somebody else tells it who may do what."""
        if not self.mqtt_gate_username:
            return None
        password = _needed("mqtt_gate_password", self.mqtt_gate_password, "the password of its administrator")
        if len(password) < SECRET_CHARACTERS:  # what waits for the broker is sealed with a key made from it
            raise Misconfigured(
                f"BELLWETHER_MQTT_GATE_PASSWORD is weak: at least {SECRET_CHARACTERS} random characters"
            )
        url = _needed("mqtt_url", self.mqtt_url, "mqtt://user:password@host:1883")
        return self._broker(url, self.mqtt_gate_username, password)

    def failure_modes(self) -> tuple[FailureMode, ...]:
        """The fault library, with the plant's own modes in it."""
        from prognosis.faults import BadLibrary, library  # noqa: PLC0415  # a second, for `notify` alone

        try:
            return library(self.fault_library)
        except BadLibrary as error:
            raise Misconfigured(f"BELLWETHER_FAULT_LIBRARY: {error}") from error

    def trust(self) -> Trust:
        """The files of TLS towards the broker."""
        return Trust(self.mqtt_ca_file, self.mqtt_certificate_file, self.mqtt_key_file)

    def _broker(self, url: str, username: str | None, password: str | None) -> Broker:
        try:
            broker = Broker.parse(url, username, password, self.trust())
            if broker.tls:
                broker.encryption()
        except ValueError as error:
            raise Misconfigured(f"BELLWETHER_MQTT_URL: {error}") from error
        except OSError as error:
            raise Misconfigured(f"BELLWETHER_MQTT_CA_FILE, _CERTIFICATE_FILE or _KEY_FILE: {error}") from error
        return broker


def load() -> Settings:
    """Read the settings.

    Raises
    ------
    Misconfigured
        A value is not what it must be.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        raise Misconfigured(f"BELLWETHER_{name.upper()}: {first['msg'].lower()}") from error
    except ValueError as error:  # the file is no TOML
        raise Misconfigured(f"{FILE}: {error}") from error


def _needed(name: str, value: SecretStr | None, example: str) -> str:
    if value is None or not value.get_secret_value():
        raise Misconfigured(f"BELLWETHER_{name.upper()} is not set: {example}")
    return value.get_secret_value()
