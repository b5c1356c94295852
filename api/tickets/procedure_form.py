"""The form of a procedure: text as it is typed, steps added, moved and dropped before anything is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from starlette.datastructures import FormData

from prognosis.procedures import MOST_STEPS, Step
from store.procedures import OwnProcedure
from tickets.steps import Kind

_LONGEST = 2000


@dataclass(slots=True)
class StepForm:
    """One step as it is typed; empty where nothing is said."""

    do: str = ""
    warn: str = ""
    measure: str = ""
    unit: str = ""
    low: str = ""
    high: str = ""
    replaces: str = ""
    picture: str = ""

    @property
    def says_more(self) -> bool:
        return any((self.warn, self.measure, self.unit, self.low, self.high, self.replaces, self.picture))

    def asked(self) -> dict[str, Any]:
        """As the API is asked: a limit is a number, with a comma too."""
        said: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        return said | {name: said[name].replace(",", ".") or None for name in ("low", "high")}


FIELDS_PER_STEP = len(fields(StepForm))


@dataclass(slots=True)
class ProcedureForm:
    """A procedure as it is typed. `version`: that which its author has seen; 0: it is new."""

    kind: str = Kind.REPAIR.value
    fault: str = ""
    model: str = ""
    name: str = ""
    skills: str = ""
    reason: str = ""
    version: str = "0"
    steps: list[StepForm] = field(default_factory=lambda: [StepForm()])

    def do(self, act: str, number: int) -> None:
        """What a button says of a step, counted from 1; what cannot be is not done."""
        place, last = number - 1, len(self.steps) - 1
        if act == "add" and len(self.steps) < MOST_STEPS:
            self.steps.append(StepForm())
        if not 0 <= place <= last:
            return
        match act:
            case "up" | "down":
                other = place + (1 if act == "down" else -1)
                if 0 <= other <= last:
                    self.steps[place], self.steps[other] = self.steps[other], self.steps[place]
            case "drop":
                del self.steps[place]
            case "bare":
                self.steps[place].picture = ""

    def asked(self) -> dict[str, Any]:
        """As the API is asked. A step of which nothing is said is none."""
        said = {name: getattr(self, name) for name in ("kind", "fault", "model", "name", "reason", "version")}
        skills = [one.strip() for one in self.skills.split(",") if one.strip()]
        return said | {"skills": skills, "steps": [one.asked() for one in self.steps if one.do or one.says_more]}


def typed_of(form: FormData) -> ProcedureForm:
    """A form as it came. Fields of steps come once a step, in order."""
    head = [one.name for one in fields(ProcedureForm) if one.name != "steps"]
    columns = {one.name: _texts(form, one.name) for one in fields(StepForm)}
    many = min(len(columns["do"]), MOST_STEPS)
    return ProcedureForm(
        **{name: (_texts(form, f"p-{name}") or [""])[0] for name in head},
        steps=[
            StepForm(**{name: texts[n] if n < len(texts) else "" for name, texts in columns.items()})
            for n in range(many)
        ],
    )


def form_of_procedure(one: OwnProcedure, steps: Sequence[Step] | None = None) -> ProcedureForm:
    """A procedure as its form has it, or with other `steps`."""
    return ProcedureForm(
        one.kind,
        one.fault,
        one.model,
        one.name,
        ", ".join(one.skills),
        version=str(one.version),
        steps=[_step_form(step) for step in (one.procedure.steps if steps is None else steps)] or [StepForm()],
    )


def _step_form(step: Step) -> StepForm:
    said = {one.name: getattr(step, one.name) for one in fields(StepForm)}
    return StepForm(**{name: _text(it) for name, it in said.items()})


def _text(said: str | float | None) -> str:
    return said if isinstance(said, str) else "" if said is None else f"{said:.15g}"


def _texts(form: FormData, name: str) -> list[str]:
    """On one line each."""
    return [" ".join(one.split())[:_LONGEST] for one in form.getlist(name) if isinstance(one, str)]
