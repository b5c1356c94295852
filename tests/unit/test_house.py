"""The house itself: what must never be in the tree, and documents that say what the program is."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from pydantic import SecretStr
from typer.core import TyperGroup
from typer.testing import CliRunner

from bellwether.cli import app
from bellwether.settings import Settings
from store.migrate import migrations

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted(p.rstrip("*") for p in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"])
SOURCES = sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "node_modules" not in path.parts
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
SQL_FILES = sorted((ROOT / "store/sql").glob("*.sql"))
COMMANDS = typer.main.get_command(app)
assert isinstance(COMMANDS, TyperGroup)
VISIBLE = sorted(name for name, command in COMMANDS.commands.items() if not command.hidden)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def each(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=relative(path)) for path in paths]


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """Every text file of the project, those not committed yet too; what git ignores is nobody's business."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("no git checkout")
    found = {}
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file():
            content = path.read_bytes()
            if b"\0" not in content[:8192]:
                found[name] = content.decode()
    assert len(found) > 100, "git lists hardly anything: the checks below would prove nothing"
    return found


# What is not in the tree ----------------------------------------------------------------------------------------------

# In pieces, so that this file is none of its own findings.
REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted",
    "npm" + "js",
    "docker" + ".io",
    "docker" + ".com",
    "ghcr" + ".io",
    "quay" + ".io",
    "arti" + "factory",
    "debian" + ".org",
    "proxy.golang" + ".org",
]
MACHINE_PATHS = re.compile(r"(?<![\w./$}-])/" + r"(?:work|root|home/\w+|Users/\w+)(?:/|\b)(?!-)")


@pytest.mark.parametrize("host", REGISTRIES)
def test_no_file_names_a_package_registry(texts: dict[str, str], host: str) -> None:
    assert not [name for name, text in texts.items() if host in text]


def test_no_file_names_a_path_of_somebodys_machine(texts: dict[str, str]) -> None:
    found = {name: match[0] for name, text in texts.items() if (match := MACHINE_PATHS.search(text))}
    assert not found


def test_the_page_lock_pins_by_checksum_and_names_no_host() -> None:
    lock = json.loads((ROOT / "dashboard/package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert not [name for name, package in packages.items() if "resolved" in package]
    assert all(re.match(r"sha\d+-", package["integrity"]) for package in packages.values())


@pytest.mark.parametrize("module", ["bellwether.cli", "store.fleet", "notify.loop", "ingest.loop", "api.app"])
def test_what_only_some_need_is_loaded_by_those_alone(module: str) -> None:
    """A compiler, tables, pictures: half a second to two each, at every start of a command or look of a container."""
    heavy = {"matplotlib", "numba", "pandas", "pyarrow", "scipy.signal", "scipy.stats", "sklearn"}
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not heavy & set(done.stdout.split())


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", each(SOURCES))
def test_a_source_does_what_it_may(path: Path) -> None:
    """All that is asked of each file, at once: they are many, and reading them is what takes time."""
    tree = ast.parse(path.read_text())
    nothing_is_unpickled_and_nothing_evaluated(tree)
    if path.relative_to(ROOT).parts[0] != "store":
        sql_is_written_in_the_store_alone(tree)
    if not relative(path).startswith("bellwether/stack/") and relative(path) != "bellwether/settings.py":
        only_settings_and_the_stack_read_the_environment(tree)


def nothing_is_unpickled_and_nothing_evaluated(tree: ast.AST) -> None:
    unsafe = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert not unsafe & {name.split(".")[0] for name in imports(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert not (isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"})
            for keyword in node.keywords:
                allowed = keyword.arg != "allow_pickle" or (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                )
                assert allowed, "allow_pickle"


def sql_is_written_in_the_store_alone(tree: ast.AST) -> None:
    statement = re.compile(
        r"\s*(SELECT\s.+\sFROM\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+(TABLE|VIEW|INDEX|ROLE)\s"
        r"|ALTER\s+(TABLE|ROLE)\s|DROP\s+(TABLE|ROLE)\s|COPY\s+\w+\s*\(|WITH\s+\w+\s+AS\s*\()",
        re.DOTALL,
    )
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    assert not [text for text in texts if isinstance(text, str) and statement.match(text)]


def only_settings_and_the_stack_read_the_environment(tree: ast.AST) -> None:
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"environ", "getenv"}


def test_no_secret_has_a_default() -> None:
    secret = {name: field for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert {"secret", "database_url", "mqtt_password", "admin_password"} <= set(secret)
    assert not [name for name, field in secret.items() if field.default is not None]
    named_so = {name for name in Settings.model_fields if re.search(r"password|secret|token", name)}
    assert named_so <= set(secret), f"shown in logs and errors: not {SecretStr.__name__}"


def test_no_module_is_a_drawer_for_anything() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "types"}
    assert not [
        relative(path) for path in SOURCES if path.stem in drawers or drawers & set(path.relative_to(ROOT).parts)
    ]


# SQL ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", each(SQL_FILES))
def test_each_query_says_its_purpose_and_is_used(path: Path) -> None:
    blocks = re.split(r"^-- name: (\w+)\n", path.read_text(), flags=re.MULTILINE)
    assert not blocks[0].strip() or blocks[0].startswith("--")
    names, bodies = blocks[1::2], blocks[2::2]
    assert len(names) == len(set(names)) > 0
    code = "\n".join(source.read_text() for source in (ROOT / "store").rglob("*.py"))
    families = tuple(re.findall(r"name\.startswith\(\"(\w+_)\"\)", code))  # asked one after the other
    for name, body in zip(names, bodies, strict=True):
        assert body.startswith("-- "), f"{name} has no purpose line"
        assert f'"{name}"' in code or name.startswith(families), f"nobody asks {name}"


# Documents ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edition", ["apache", "community"])
def test_no_two_migrations_have_one_number(edition: str) -> None:
    versions = [migration.version for migration in migrations(edition)]
    assert sorted(set(versions)) == versions


def test_every_setting_is_documented_and_nothing_else() -> None:
    documented = set(re.findall(r"^\| .*", (ROOT / "docs/settings.md").read_text(), re.MULTILINE))
    named = {name for line in documented for name in re.findall(r"`(BELLWETHER_[A-Z_]+)`", line.split(" | ")[0])}
    settings = {f"BELLWETHER_{name.upper()}" for name in Settings.model_fields}
    assert named - {"BELLWETHER_CACHE", "BELLWETHER_DATA"} == settings


def test_defaults_in_the_settings_document_are_the_programs() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    for name, field in Settings.model_fields.items():
        row = re.search(rf"^\| `BELLWETHER_{name.upper()}`.*", text, re.MULTILINE)
        assert row is not None, name
        if field.default is not None:
            assert f"`{str(field.default).lower()}`" in row[0].lower(), f"{name} is {field.default} by default"


@pytest.mark.parametrize("path", each(DOCUMENTS))
def test_a_document_names_only_what_exists(path: Path) -> None:
    text = path.read_text()
    settings_exist(text)
    commands_exist(text)
    targets_of_make_exist(text)
    links_within_the_project_lead_somewhere(path, text)


def settings_exist(text: str) -> None:
    settings = {f"BELLWETHER_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"BELLWETHER_[A-Z]+(?:_[A-Z]+)*", text))
    assert named <= settings | {"BELLWETHER_CACHE", "BELLWETHER_DATA"}


@pytest.mark.parametrize("name", VISIBLE)
def test_every_command_is_in_the_readme_and_explains_itself_by_an_example(name: str) -> None:
    assert f"`bellwether {name}" in (ROOT / "README.md").read_text()
    shown = CliRunner().invoke(app, [name, "--help"], prog_name="bellwether")
    assert shown.exit_code == 0
    text = " ".join(shown.output.split())
    assert re.search(rf"Example:.* bellwether {name}\b", text), shown.output


def commands_exist(text: str) -> None:
    named = set(re.findall(r"(?:`|^|bin/)bellwether ([a-z][a-z-]+)", text, re.MULTILINE))
    assert named <= set(VISIBLE)


def targets_of_make_exist(text: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^|&& )make ([a-z-]+)", text, re.MULTILINE)) <= targets


def links_within_the_project_lead_somewhere(path: Path, text: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    missing = [link for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


def test_decisions_are_numbered_and_say_what_was_rejected() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{number:03d}-" for number in range(1, len(DECISIONS) + 1)]
    for path in DECISIONS:
        text = path.read_text()
        assert text.startswith(f"# {path.name[:3]} "), path.name
        assert all(f"**{part}**:" in text for part in ("Objective", "Chosen", "Rejected")), path.name


def test_the_architecture_names_every_package_and_every_contract() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    assert not [package for package in PACKAGES if f"`{package}/`" not in text]
    assert not [c["name"] for c in PROJECT["tool"]["importlinter"]["contracts"] if f"| {c['name']} |" not in text]


def test_the_changelog_speaks_of_this_version() -> None:
    assert re.search(
        rf"^## {re.escape(PROJECT['project']['version'])}\b", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


def test_the_license_is_the_one_that_is_declared() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text
