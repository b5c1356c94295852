"""How commands speak: to people in lines on the standard error, to programs in documents on the standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from store.errors import Misconfigured

AsJson = Annotated[bool, typer.Option("--json", help="Print what a program can read.")]
console = Console(stderr=True, highlight=False)


def names(text: str) -> list[str]:
    return [name for name in (part.strip() for part in text.split(",")) if name]


@contextmanager
def as_misconfigured(errors: type[Exception] | tuple[type[Exception], ...] = ValueError) -> Iterator[None]:
    """What those who cannot use the arguments say of them, as of a wrong setting."""
    try:
        yield
    except errors as error:
        raise Misconfigured(str(error)) from error


def tell(report: Any, as_json: bool) -> None:
    fields = asdict(report)
    if as_json:
        print_json(fields)
    else:
        say(", ".join(f"{name.replace('_', ' ')} {_short(value)}" for name, value in fields.items()))


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    return " ".join(value) if isinstance(value, tuple) else str(value)


def print_json(document: object) -> None:
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")


def say(line: str) -> None:
    console.print(escape(line), soft_wrap=True)


def end(code: int, error: Exception) -> None:
    console.print(f"[red]bellwether:[/] {escape(str(error))}", soft_wrap=True)
    sys.exit(code)
