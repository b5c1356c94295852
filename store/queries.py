"""Named SQL: each block of `sql/*.sql` is found by its name.

A file is a row of blocks, each begun by `-- name: what_it_does` and a line that says why it is there. The name of the
query is the name of the function that runs it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_BLOCK = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries(file: str) -> dict[str, LiteralString]:
    """The queries of `sql/{file}.sql` by name. They come from our own files: as literal as one in the code."""
    text = (files("store") / "sql" / f"{file}.sql").read_text(encoding="utf-8")
    parts = _BLOCK.split(text)
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError(f"sql/{file}.sql names a query twice")
    return {name: cast(LiteralString, body.strip()) for name, body in zip(names, bodies, strict=True)}
