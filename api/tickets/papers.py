"""What is written down on a ticket's road, as it comes with a move and as it is shown."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainSerializer, StringConstraints, model_validator

from api.models import Answered, Asked, Instant, Line, Name, Prose, Reason
from tickets.customers_word import Way
from tickets.documents import signature
from tickets.needs import Paper

# More than any repair takes: a slip of the key is noticed.
MOST_HOURS = 1000
MOST_VALUES = 100
LONGEST_WINDOW = timedelta(days=7)

Amount = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=2), PlainSerializer(str, return_type=str)]


Told = Literal[Way.TELEPHONE, Way.EMAIL, Way.IN_PERSON, Way.LETTER]
"""By which way somebody heard a customer's word who writes it down."""


class DiagnosisIn(Asked):
    """Where the fault is, and what is to be done."""

    located: Reason = Field(description="Where the fault is, and how that was found")
    plan: Reason = Field(description="What is to be done")
    alternative: Prose = Field("", description="What could be done instead")
    hours: float = Field(gt=0, le=MOST_HOURS, description="Estimated, of work")


class PriceIn(Asked):
    """So much money."""

    amount: Amount = Field(description="With all that is to be paid")
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "EUR"


class QuoteIn(PriceIn):
    """What the repair costs the customer."""

    covers: Reason = Field(description="What it is for")


class AnswerIn(Asked):
    """The customer's answer to a quote."""

    accepted: bool
    name: Line = Field(description="Who answered")
    note: Prose = ""


class CustomersAnswerIn(AnswerIn):
    """The customer's answer to the quote that they have read."""

    quoted: PriceIn | None = Field(
        None, description="The price that they read; 409 where the quote names another by now. null: whatever it names"
    )


class ToldAnswerIn(AnswerIn):
    """The customer's answer to a quote, as somebody was told it."""

    way: Told | None = Field(None, description="How it came")


class AppointmentIn(Asked):
    """When somebody comes, or the machine is sent in."""

    begins_at: Instant
    ends_at: Instant

    @model_validator(mode="after")
    def _window(self) -> Self:
        if not timedelta(0) < self.ends_at - self.begins_at <= LONGEST_WINDOW:
            raise ValueError("a window ends after it begins, within seven days")
        return self


class ValueIn(Asked):
    """Something measured at a test."""

    name: Line
    value: float
    unit: Annotated[str, Field(max_length=32)] = ""


class TestIn(Asked):
    """The function test after the repair: the engineer's own look at it."""

    __test__ = False

    passed: bool
    note: Reason = Field(description="What was tested, and how it went")
    values: Annotated[list[ValueIn], Field(max_length=MOST_VALUES)] = Field(default_factory=list)
    work: Prose = Field("", description="What was done; what the diagnosis planned, without")
    advice: Prose = Field("", description="What the customer should watch, or do")


class InspectionIn(Asked):
    """What an inspector found, who did not work on the repair."""

    passed: bool
    note: Prose = ""
    root_cause: Prose = Field("", description="Of what failed: why the repair did not hold")
    nevertheless: Prose = Field("", description="Why it passes though telemetry says that it is not well")

    @model_validator(mode="after")
    def _why(self) -> Self:
        if not self.passed and not self.root_cause:
            raise ValueError("an inspection that fails says the root cause")
        return self


Stroke = Annotated[list[Annotated[int, Field(ge=0, le=signature.WIDTH)]], Field(max_length=2 * signature.MOST_POINTS)]


class SignatureIn(Asked):
    """Who took the machine back, and when; with what they drew on the screen, or without."""

    name: Line
    signed_at: Instant
    strokes: Annotated[list[Stroke], Field(max_length=signature.MOST_STROKES)] = Field(
        default_factory=list, description="Each `[x, y, x, y, …]` in a box of 1000 by 300, from its upper left corner"
    )

    @model_validator(mode="after")
    def _drawn(self) -> Self:
        try:
            signature.check(self.strokes)
        except signature.BadSignature as error:
            raise ValueError(str(error)) from error
        return self


class PapersIn(Asked):
    """What comes with a move; which a move takes is in the table."""

    diagnosis: DiagnosisIn | None = None
    quote: QuoteIn | None = None
    answer: ToldAnswerIn | None = None
    appointment: AppointmentIn | None = None
    test: TestIn | None = None
    inspection: InspectionIn | None = None
    signature: SignatureIn | None = None

    def papers(self) -> dict[Paper, dict[str, Any]]:
        """Those that came, as they are kept."""
        found = ((paper, getattr(self, paper)) for paper in Paper if paper in self.__class__.model_fields)
        return {paper: body.model_dump(mode="json") for paper, body in found if body is not None}


class PaperOut(Answered):
    """Something that was written down. `check`: who is to look at the repair, of which `sample` was drawn."""

    id: int
    turn: int = Field(description="How often the ticket had been reopened by then")
    paper: Paper
    at: Instant
    who: Name
    body: dict[str, Any]
