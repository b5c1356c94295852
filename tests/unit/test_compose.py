"""The containers, as far as can be told without Docker: the file is valid Compose, and names only what there is.

Each command, variable, path and port in `docker-compose.yml`, `Dockerfile` and `deploy/` is held against the program.
"""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.main
import yaml
from typer.core import TyperCommand, TyperGroup

from bellwether.certs import ENV_NAMES
from bellwether.cli import app
from bellwether.settings import SECRET_CHARACTERS, Settings
from bellwether.stack import mosquitto
from ingest.access.rights import first_state
from store.migrate import LOGIN_ROLES
from telemetry import Broker

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("bellwether:")}
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETTINGS = {f"BELLWETHER_{name.upper()}" for name in Settings.model_fields}

# The keys of the Compose specification that are used here, and what each holds. Another key is a typing error until it
# is looked up and added.
TOP = {"name": str, "services": dict, "networks": dict, "volumes": dict}
SERVICE = {
    "build": dict,
    "cap_drop": list,
    "command": list,
    "depends_on": dict,
    "deploy": dict,
    "environment": dict,
    "healthcheck": dict,
    "image": str,
    "logging": dict,
    "networks": list,
    "ports": list,
    "profiles": list,
    "read_only": bool,
    "restart": str,
    "security_opt": list,
    "shm_size": str,
    "stop_grace_period": str,
    "tmpfs": list,
    "user": str,
    "volumes": list,
}
HEALTHCHECK = {"test": list, "interval": str, "timeout": str, "retries": int, "start_period": str}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
# ${NAME:?message} and ${NAME:-default}; $$ is a dollar sign.
DEMANDED = re.compile(r"(?<!\$)\$\{([A-Z_]+):\?([^}]*)\}")
OPTIONAL = re.compile(r"(?<!\$)\$\{([A-Z_]+):-([^}]*)\}")
ANY_VARIABLE = re.compile(r"(?<!\$)\$(?!\$)")
SECRET_WORDS = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY")


def each_service() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", SERVICES)


def plain(text: str, values: dict[str, str] | None = None) -> str:
    """A value after Compose has put the variables in."""
    text = DEMANDED.sub(lambda match: (values or {}).get(match[1], "a-secret"), text)
    return OPTIONAL.sub(lambda match: match[2], text)


def expect(found: dict[str, Any], known: dict[str, type], where: str) -> None:
    for key, value in found.items():
        assert key in known, f"{where}: Compose may know {key}, this test does not"
        assert isinstance(value, known[key]), f"{where}.{key} is no {known[key].__name__}"


# The file is valid Compose ------------------------------------------------------------------------------------------


def test_the_file_has_the_shape_of_compose() -> None:
    expect({key: value for key, value in COMPOSE.items() if not key.startswith("x-")}, TOP, "docker-compose.yml")
    for name, service in SERVICES.items():
        expect(service, SERVICE, name)
        expect(service.get("healthcheck", {}), HEALTHCHECK, f"{name}.healthcheck")
        assert set(service["deploy"]) == {"resources"}
        assert set(service["deploy"]["resources"]["limits"]) == {"memory", "pids"}
        assert re.fullmatch(r"\d+[mg]", service["deploy"]["resources"]["limits"]["memory"])
        assert set(service["logging"]) == {"driver", "options"}
        assert all(isinstance(value, str) for value in service["environment"].values()), "YAML made it no text"
        assert all(isinstance(word, str) for word in [*service.get("command", []), *service.get("tmpfs", [])])


@each_service()
def test_what_a_service_refers_to_exists(name: str) -> None:
    service = SERVICES[name]
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for volume in service.get("volumes", []):
        assert volume.split(":")[0] in COMPOSE["volumes"]
    for other, condition in service.get("depends_on", {}).items():
        assert set(condition) == {"condition"}
        assert condition["condition"] in CONDITIONS
        if condition["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other], f"{other} is never healthy"
        if condition["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"] == "no", f"{other} never completes"
        assert set(SERVICES[other].get("profiles", [])) <= set(service.get("profiles", []))


def test_what_is_declared_is_used() -> None:
    networks = {network for service in SERVICES.values() for network in service["networks"]}
    volumes = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert networks == set(COMPOSE["networks"])
    assert volumes == set(COMPOSE["volumes"])


def test_nothing_waits_for_itself() -> None:
    waiting = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    while ready := [name for name, others in waiting.items() if not others & set(waiting)]:
        for name in ready:
            del waiting[name]
    assert not waiting


# What it says is what there is ----------------------------------------------------------------------------------------


def command_of(name: str) -> TyperCommand:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.commands[name]
    assert isinstance(command, TyperCommand)
    return command


@pytest.mark.parametrize("name", OURS)
def test_a_command_is_one_that_the_program_has(name: str) -> None:
    command, *arguments = SERVICES[name]["command"]
    options = {option for parameter in command_of(command).params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("-")} <= options
    assert command_of(command).make_context(command, list(arguments)), "it would be wrong usage"


@pytest.mark.parametrize("name", OURS)
def test_a_role_is_given_settings_that_exist_and_are_enough(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {key: plain(value) for key, value in SERVICES[name]["environment"].items()}
    assert set(environment) <= SETTINGS
    for key, value in environment.items():
        monkeypatch.setenv(key, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG" if key == "BELLWETHER_SECRET" else value)
    settings = Settings()
    needs = {
        "migrate": [settings.need_database_url],
        "ingest": [settings.need_database_url, settings.need_broker],
        "api": [settings.need_database_url, settings.need_secret],
        "notify": [settings.need_database_url, settings.need_secret, settings.need_api_url],
        "fleet": [settings.need_broker],
    }
    for need in needs[name]:
        need()


def test_urls_lead_to_services_on_a_network_in_common() -> None:
    ports = {"database": 5432, "broker": 1883, "api": int(SERVICES["api"]["environment"]["BELLWETHER_HTTP_PORT"])}
    seen = set()
    for name, service in OURS.items():
        for key, value in service["environment"].items():
            if key.endswith("_URL"):
                url = urlsplit(plain(value))
                assert url.hostname in ports
                assert url.port == ports[url.hostname]
                assert set(service["networks"]) & set(SERVICES[url.hostname]["networks"]), f"{name} cannot reach {url}"
                seen.add(url.hostname)
    assert seen == set(ports)


@pytest.mark.parametrize("role", LOGIN_ROLES)
def test_a_role_signs_in_to_the_database_as_itself_with_the_password_that_migrate_sets(role: str) -> None:
    url = SERVICES[role]["environment"]["BELLWETHER_DATABASE_URL"]
    password = SERVICES["migrate"]["environment"][f"BELLWETHER_{role.upper()}_PASSWORD"]
    assert url == f"postgresql://bellwether_{role}:{password}@database:5432/{database_name()}"


def database_name() -> str:
    name: str = SERVICES["database"]["environment"]["POSTGRES_DB"]
    return name


def test_the_owner_is_the_images_superuser() -> None:
    password = SERVICES["database"]["environment"]["POSTGRES_PASSWORD"]
    owner = SERVICES["migrate"]["environment"]["BELLWETHER_DATABASE_URL"]
    assert owner == f"postgresql://postgres:{password}@database:5432/{database_name()}"


def test_the_gate_signs_in_to_the_broker_as_itself() -> None:
    environment = SERVICES["ingest"]["environment"]
    assert environment["BELLWETHER_MQTT_GATE_USERNAME"] == "gate"
    assert environment["BELLWETHER_MQTT_GATE_PASSWORD"] == SERVICES["broker"]["environment"]["MQTT_GATE_PASSWORD"]


@pytest.mark.parametrize(("service", "user"), [("ingest", "bellwether"), ("fleet", "devices")])
def test_a_role_signs_in_to_the_broker_as_a_user_that_it_knows(service: str, user: str) -> None:
    environment = SERVICES[service]["environment"]
    assert environment["BELLWETHER_MQTT_USERNAME"] == user
    assert environment["BELLWETHER_MQTT_PASSWORD"] == SERVICES["broker"]["environment"][f"MQTT_{user.upper()}_PASSWORD"]


def test_ports_inside_are_those_that_are_listened_on() -> None:
    published = {
        name: [plain(port).rsplit(":", 1)[1] for port in service["ports"]]
        for name, service in SERVICES.items()
        if "ports" in service
    }
    start = (ROOT / "deploy/mosquitto/start.sh").read_text()
    listened = dict(re.findall(r"^(\w*port)=\$\{\d:-(\d+)\}$", start, re.M))
    assert set(listened) == {"port", "password_port", "certificate_port"}
    assert published == {
        "api": [SERVICES["api"]["environment"]["BELLWETHER_HTTP_PORT"]],
        "broker": [listened["password_port"], listened["certificate_port"]],
    }, "what is not encrypted is not published"
    assert int(listened["port"]) == Broker.parse("mqtt://anywhere").port
    assert int(listened["password_port"]) == Broker.parse("mqtts://anywhere").port


# Secrets --------------------------------------------------------------------------------------------------------------


def demanded(remedy: str = "run make secrets") -> set[str]:
    """What cannot be left out, by what makes it."""
    files = ("docker-compose.yml", "deploy/monitoring.yml")
    found = DEMANDED.finditer("".join((ROOT / file).read_text() for file in files))
    return {match[1] for match in found if match[2] == remedy}


def test_no_secret_has_a_default_and_each_says_what_to_do() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert {match[2] for match in DEMANDED.finditer(text)} == {"run make secrets", "run make certs"}
    assert demanded("run make certs") == set(ENV_NAMES)
    assert not [match[1] for match in OPTIONAL.finditer(text) if SECRET_WORDS.search(match[1])]
    known = len(DEMANDED.findall(text)) + len(OPTIONAL.findall(text))
    assert len(ANY_VARIABLE.findall(text)) == known, "a variable without :? or :-"
    for name, service in SERVICES.items():
        for key, value in service["environment"].items():
            if SECRET_WORDS.search(key):
                assert DEMANDED.fullmatch(value), f"{name}.{key} is written down"


def test_a_service_knows_only_the_secrets_it_uses() -> None:
    known = {
        name: {match[1] for value in service["environment"].values() for match in DEMANDED.finditer(value)}
        for name, service in SERVICES.items()
    }
    assert known["ingest"] == {"BELLWETHER_INGEST_PASSWORD", "MQTT_BELLWETHER_PASSWORD", "MQTT_GATE_PASSWORD"}
    assert known["api"] == {"BELLWETHER_API_PASSWORD", "BELLWETHER_SECRET"}
    assert known["notify"] == {"BELLWETHER_NOTIFY_PASSWORD", "BELLWETHER_SECRET"}
    assert known["fleet"] == {"MQTT_DEVICES_PASSWORD"}
    assert known["database"] == {"POSTGRES_PASSWORD"}
    assert known["broker"] == {f"MQTT_{user.upper()}_PASSWORD" for user in mosquitto.USERS} | set(ENV_NAMES)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with nothing in it but the script that makes secrets."""
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy/make_secrets.py").write_text((ROOT / "deploy/make_secrets.py").read_text())
    return tmp_path


def make_secrets(checkout: Path) -> str:
    """Run it as `make secrets` does; what it said."""
    done = subprocess.run(
        [sys.executable, "deploy/make_secrets.py"], cwd=checkout, capture_output=True, text=True, check=True
    )
    return done.stdout


def secrets_of(checkout: Path) -> dict[str, str]:
    lines = (checkout / "deploy/secrets/compose.env").read_text().splitlines()
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines}


def test_make_calls_the_command_for_certificates() -> None:
    assert re.search(
        r"^certs: python .*\n\t@\$\(BIN\)/bellwether certs --out deploy/secrets/certs"
        r" --env deploy/secrets/compose\.env \$\(ARGS\)$",
        (ROOT / "Makefile").read_text(),
        re.M,
    )


def test_make_calls_the_script() -> None:
    assert re.search(r"^secrets:.*\n\t@\$\(PYTHON\) deploy/make_secrets\.py$", (ROOT / "Makefile").read_text(), re.M)


def test_all_that_is_demanded_is_made_strong_and_for_the_owner_alone(checkout: Path) -> None:
    make_secrets(checkout)
    made = secrets_of(checkout)
    assert set(made) == demanded()
    assert len(set(made.values())) == len(made)
    for value in made.values():
        assert len(value) >= SECRET_CHARACTERS
        assert re.fullmatch(r"[A-Za-z0-9_-]+", value), "would need quoting in a URL or in the file"
    file = checkout / "deploy/secrets/compose.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert (checkout / ".env").samefile(file)


def test_a_secret_that_exists_is_never_changed(checkout: Path) -> None:
    make_secrets(checkout)
    first = secrets_of(checkout)
    assert "0 made" in make_secrets(checkout)
    assert secrets_of(checkout) == first


def test_what_a_newer_release_demands_is_added(checkout: Path) -> None:
    make_secrets(checkout)
    file = checkout / "deploy/secrets/compose.env"
    older = file.read_text().splitlines()[:-1]
    file.write_text("\n".join(["# kept", *older]))  # without the last line's end, as editors leave it
    make_secrets(checkout)
    lines = file.read_text().splitlines()
    assert lines[: len(older) + 1] == ["# kept", *older]
    assert len(lines) == len(older) + 2


def test_an_env_file_of_the_users_own_stays(checkout: Path) -> None:
    (checkout / ".env").write_text("MINE=1\n")
    assert "stays" in make_secrets(checkout)
    assert (checkout / ".env").read_text() == "MINE=1\n"


def test_secrets_reach_neither_git_nor_an_image() -> None:
    for path in ("deploy/secrets/compose.env", ".env"):
        ignored = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False)
        if ignored.returncode == 128:
            pytest.skip("no git checkout")
        assert ignored.returncode == 0, path
    wanted = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert "*" in (ROOT / ".dockerignore").read_text().splitlines()
    assert not [line for line in wanted if line.rstrip("/") in ("!deploy", "!.env") or "secrets" in line]


# Hardening ------------------------------------------------------------------------------------------------------------


@each_service()
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    stage = service.get("build", {}).get("target")
    user = re.findall(r"^USER (.+)$", stages()[stage], re.M)[-1] if stage else service["user"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "root, or a name that cannot be told from root"


@each_service()
def test_a_service_that_goes_on_is_watched_and_restarted(name: str) -> None:
    service = SERVICES[name]
    if name == "migrate":
        assert service["restart"] == "no"
        return
    assert service["restart"] == "unless-stopped"
    if name == "fleet":  # nobody waits for the demonstration
        return
    assert service["healthcheck"]["test"][0] == "CMD"


def test_a_health_check_of_ours_names_its_own_role() -> None:
    checked = {name: service["healthcheck"]["test"] for name, service in OURS.items() if "healthcheck" in service}
    assert checked == {role: ["CMD", "python", "deploy/healthy.py", role] for role in LOGIN_ROLES}


def test_only_the_api_and_the_broker_are_reachable_and_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"api", "broker"}
    for ports in published.values():
        for port in ports:
            assert plain(port).startswith("127.0.0.1:")
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert SERVICES["database"]["networks"] == ["data"]


@pytest.mark.parametrize(
    "reference", [*(s["image"] for s in SERVICES.values()), *re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)]
)
def test_an_image_is_pinned_to_a_version(reference: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+", reference), "another image tomorrow"


def test_our_images_carry_our_version() -> None:
    assert {service["image"].split(":")[1] for service in SERVICES.values() if "build" in service} == {
        PROJECT["project"]["version"]
    }


# The images -----------------------------------------------------------------------------------------------------------


def stages() -> dict[str, str]:
    parts = re.split(r"^FROM \S+ AS (\S+)$", DOCKERFILE, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def copied(stage: str) -> list[str]:
    """What a stage takes from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", stages()[stage], re.M)
    return [source for line in lines for source in re.sub(r"--\S+ ", "", line).split()[:-1]]


@pytest.mark.parametrize("stage", stages())
def test_what_is_copied_exists_and_may_come_in(stage: str) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for source in copied(stage):
        assert (ROOT / source).exists(), source
        assert any(source == path or source.startswith(f"{path}/") for path in allowed), f".dockerignore hides {source}"


def test_the_image_holds_every_package() -> None:
    packages = {pattern.rstrip("*") for pattern in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]}
    assert packages <= set(copied("bellwether"))


def test_builds_name_stages_that_exist_and_stages_others_that_do() -> None:
    for service in SERVICES.values():
        if "build" in service:
            assert service["build"] == {"context": ".", "target": service["build"]["target"]}
            assert service["build"]["target"] in stages()
    assert set(re.findall(r"--from=(\S+)", DOCKERFILE)) <= set(stages())


def test_volumes_are_mounted_where_the_images_keep_their_data() -> None:
    mounted = {volume for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert mounted == {
        "database:/var/lib/postgresql/data",
        "broker:/mosquitto/data",
        "fleet:/var/lib/bellwether",
    }
    assert re.search(r"install -d -o bellwether .*/var/lib/bellwether$", stages()["bellwether"], re.M)
    assert "data=${2:-/mosquitto/data}" in (ROOT / "deploy/mosquitto/start.sh").read_text()


def test_the_image_is_built_from_the_lock_alone() -> None:
    installs = re.findall(r"pip install .+", DOCKERFILE)
    assert len(installs) == 1
    assert "--require-hashes -r /build/requirements.txt" in installs[0]
    assert "npm ci " in DOCKERFILE
    assert "npm install" not in DOCKERFILE


def test_the_broker_has_the_local_stacks_rights_and_encryption() -> None:
    assert json.loads((ROOT / "deploy/mosquitto/dynamic-security.json").read_text()) == first_state()
    script = (ROOT / "deploy/mosquitto/start.sh").read_text()
    assert {f'"{user}:$MQTT_{user.upper()}_PASSWORD"' for user in mosquitto.USERS} <= set(
        re.findall(r'"\w+:\$\w+"', script)
    )
    assert mosquitto.ENCRYPTION in script.replace('"', "\n")
    assert mosquitto.CERTIFICATES in script
    assert mosquitto.COMMON.relative_to(ROOT).as_posix() in copied("broker")
