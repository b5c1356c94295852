"""What `bellwether doctor` has found, a line each."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `remedy` is empty where nothing needs doing."""

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""

    @property
    def line(self) -> str:
        return f"{self.check}: {self.found}" + (f" - {self.remedy}" if self.remedy else "")

    def as_json(self) -> dict[str, str]:
        return asdict(self)
