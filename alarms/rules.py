"""Rules: which scores become alarms, how soon, how bad, and what follows. Data, not code.

Of the rules that match a subject under one detector the most specific one governs: a rule for one device stands above a
rule for all, and a disabled rule is how a device is taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from alarms.events import Severity
from alarms.rationalisation import DEFAULTS, BadRationalisation, Rationalisation, rationalisation_from_json
from detectors.limits import Limit
from telemetry import Stream

# Beyond any instrument, and far enough from what a float holds that differences of two are finite.
_HUGE = 1e300
# A condition remembers of so many scores at most which were above the limit.
MOST_SCORES = 32


class BadRule(ValueError):
    """A rule that cannot be; the message names the field and says what it may be."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a detector's score is an alarm.

    Attributes
    ----------
    severities
        Pairs of score and severity, both rising; the first score is 1.0, the alarm limit. A higher step escalates.
    deadband
        How far below the limit the score must fall before the alarm can return, as a share of the limit (0 to 0.9).
        Too low: an alarm chatters. Too high: it stays though the fault has gone.
    on_delay_s, off_delay_s
        How long the score must stay above the limit before the alarm is raised, and below before it returns, in the
        telemetry's own time. Too low: every spike is an alarm. Too high: the warning comes late.
    weak_below, weak_delay_s
        A departure whose score stays below the first must last for the second, where that is longer than `on_delay_s`.
        Too low: a machine that wanders a little farther than it did while it was learnt calls for somebody. Too high:
        a weak fault is told late. What verdicts teach of one subject (`alarms.lessons.Patience`) comes on top.
    at_least, of_last
        So many of the last so many scores must be above the limit for the alarm to be raised. Where a sensor has spikes
        this forgives them, and a delay does not: one score below the limit ends what a delay waits for.
    fault
        What a ticket is opened for: alarms of one device and fault share a ticket.
    opens_ticket
        Whether the alarm opens a preventive ticket, or only shows.
    latch
        The alarm stays after its return, until somebody has looked and resets it.
    quiet_with_parent
        It is suppressed by design while what its device hangs on, its gateway or `parent`, is silent.
    device, point
        What it covers, `*` and `?` as in file names. A detector of machines has no point.
    limit
        For the detector `limits` alone, in the unit of the stream.
    rationalisation
        What the alarm comes of, what follows, what is to be done, how soon; None: nobody has said.
    """

    id: str
    detector: str
    fault: str
    severities: tuple[tuple[float, Severity], ...]
    deadband: float = 0.1
    on_delay_s: float = 0.0
    off_delay_s: float = 0.0
    weak_below: float = 1.0
    weak_delay_s: float = 0.0
    at_least: int = 1
    of_last: int = 1
    opens_ticket: bool = True
    latch: bool = False
    quiet_with_parent: bool = False
    device: str = "*"
    point: str = "*"
    limit: Limit | None = None
    rationalisation: Rationalisation | None = None
    enabled: bool = True

    def covers(self, device: str, point: str) -> bool:
        return fnmatchcase(device, self.device) and fnmatchcase(point, self.point)

    def delay_s(self, score: float) -> float:
        """How long a departure of this score must have lasted to be raised."""
        return max(self.on_delay_s, self.weak_delay_s) if score < self.weak_below else self.on_delay_s

    def severity(self, score: float) -> Severity:
        """The severity of a score at or above the limit."""
        return max((s for step, s in self.severities if score >= step), key=lambda s: s.rank)

    @property
    def specificity(self) -> tuple[int, int, int, int]:
        """Rises with how little a rule covers: named devices before points, plain names before patterns."""
        return (*_precision(self.device), *_precision(self.point))


# How long a machine must be unlike its normal before somebody is called. A minute less, and healthy pumps call for help
# (the recordings behind `bench/skab_live.py`); more, and the warning comes that much later.
_LASTING_S = 120.0
# A machine that was watched for some minutes has not shown all that it does in health: what is but a little unlike that
# must last longer. Of 480 simulated machines two thirds of the false alarms go, and one fault in 400 is lost
# (`python -m bench.detection simulated`).
_WEAK_BELOW, _WEAK_LASTING_S = 1.6, 1200.0
# A single stream that is barely beyond its own limit is given as long: half of what compressors call for that load and
# unload as ever passes within it, and of 420 simulated faults as many are found as soon. Higher (1.3), and nine tenths
# of that pass, but so does the valve of a real pump (1.17) that is closed for seven minutes.
_BARELY_BELOW = 1.1

_SHIFT = Rule(
    "shift",
    "shift",
    "condition",
    ((1.0, Severity.MEDIUM), (3.0, Severity.HIGH)),
    deadband=0.2,
    on_delay_s=_LASTING_S,
    off_delay_s=_LASTING_S,
    weak_below=_BARELY_BELOW,
    weak_delay_s=_WEAK_LASTING_S,
)
_HOUSE_RULES: tuple[Rule, ...] = (
    Rule(
        "limits", "limits", "condition", ((1.0, Severity.HIGH), (2.0, Severity.CRITICAL)), on_delay_s=0, off_delay_s=30
    ),
    Rule("flatline", "flatline", "instrument", ((1.0, Severity.MEDIUM),), on_delay_s=60, off_delay_s=60),
    Rule("sensors", "sensors", "instrument", ((1.0, Severity.MEDIUM),), deadband=0.3, on_delay_s=30, off_delay_s=60),
    # A device that comes and goes is one alarm until it has been there for a minute.
    Rule(
        "silence",
        "silence",
        "communication",
        ((1.0, Severity.MEDIUM),),
        off_delay_s=60,
        opens_ticket=False,
        quiet_with_parent=True,
    ),
    # A score of drift holds for hours: there is no passing disturbance to wait for.
    Rule("drift", "drift", "condition", ((1.0, Severity.MEDIUM), (3.0, Severity.HIGH)), deadband=0.3),
    # It is said once, in one reading: it shows for an hour, and sends nobody.
    Rule("novelty", "novelty", "condition", ((1.0, Severity.LOW),), off_delay_s=3600, opens_ticket=False),
    # Lost with 80 % of its devices, back when half of them are: see alarms/sites.py.
    Rule("site_lost", "site", "site", ((1.0, Severity.HIGH),), deadband=0.375, off_delay_s=60),
    # Sequence numbers that never came: one alarm until nothing more was lost for an hour.
    Rule(
        "data_loss",
        "sequence",
        "communication",
        ((1.0, Severity.LOW), (1000.0, Severity.MEDIUM)),
        off_delay_s=3600,
        opens_ticket=False,
        quiet_with_parent=True,
    ),
    # What blocks of vibration say together, see detectors/vibration/standing.py: from 1 on zone C or a fault, from 2 on
    # zone D. With one block fewer that says so it is over.
    Rule("vibration", "vibration", "condition", ((1.0, Severity.MEDIUM), (2.0, Severity.HIGH)), deadband=0.3),
    # A machine that goes another way than others of its model: its own past mostly says as much, sooner. It shows.
    Rule(
        "peers", "peers", "condition", ((1.0, Severity.LOW), (2.0, Severity.MEDIUM)), deadband=0.3, opens_ticket=False
    ),
    _SHIFT,
    replace(_SHIFT, id="multivariate", detector="multivariate", weak_below=_WEAK_BELOW),
)
DEFAULT_RULES = tuple(replace(rule, rationalisation=DEFAULTS[rule.id]) for rule in _HOUSE_RULES)
"""What watches a tenant that has said nothing: no limits, since nobody but its owner knows those."""


def governing(rules: Iterable[Rule], detector: str, stream: Stream, machine_wide: bool) -> Rule | None:
    """The rule that decides over a stream's scores (a machine's, for `machine_wide`); None where there is none."""
    covering = [
        rule
        for rule in rules
        if rule.detector == detector
        and (fnmatchcase(stream.device, rule.device) if machine_wide else rule.covers(stream.device, stream.point))
        and (detector != "limits" or rule.limit is not None)
    ]
    return max(covering, key=lambda rule: (rule.specificity, rule.id), default=None)


def rule_to_json(rule: Rule) -> dict[str, Any]:
    """A rule as plain values; `rule_from_json` reads it back."""
    fields = asdict(rule)
    fields["severities"] = [[score, severity.value] for score, severity in rule.severities]
    return fields


def rule_from_json(fields: Mapping[str, Any]) -> Rule:
    """A rule from plain values, every one of them checked.

    Raises
    ------
    BadRule
        A field is missing, unknown, of the wrong type or out of range.
    """
    unknown = set(fields) - set(Rule.__dataclass_fields__)
    if unknown:
        raise BadRule(f"{sorted(unknown)[0]}: no such field")
    for name in ("id", "detector", "fault"):
        _text(fields, name)
    limit = fields.get("limit")
    of_last = _whole(fields, "of_last", MOST_SCORES)
    return Rule(
        id=_text(fields, "id"),
        detector=_text(fields, "detector"),
        fault=_text(fields, "fault"),
        severities=_severities(fields.get("severities")),
        deadband=_number(fields, "deadband", 0.1, 0.0, 0.9),
        on_delay_s=_number(fields, "on_delay_s", 0.0, 0.0, 30 * 86_400.0),
        off_delay_s=_number(fields, "off_delay_s", 0.0, 0.0, 30 * 86_400.0),
        weak_below=_number(fields, "weak_below", 1.0, 1.0, 100.0),
        weak_delay_s=_number(fields, "weak_delay_s", 0.0, 0.0, 30 * 86_400.0),
        at_least=_whole(fields, "at_least", of_last),
        of_last=of_last,
        opens_ticket=_flag(fields, "opens_ticket", True),
        latch=_flag(fields, "latch", False),
        quiet_with_parent=_flag(fields, "quiet_with_parent", False),
        device=_text(fields, "device", "*"),
        point=_text(fields, "point", "*"),
        limit=None if limit is None else _limit(limit),
        rationalisation=_rationalisation(fields.get("rationalisation")),
        enabled=_flag(fields, "enabled", True),
    )


def _precision(pattern: str) -> tuple[int, int]:
    return int(not any(c in pattern for c in "*?[")), len(pattern.replace("*", ""))


def _text(fields: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str) or not 1 <= len(value) <= 128:
        raise BadRule(f"{name}: a text of 1 to 128 characters")
    return value


def _number(fields: Mapping[str, Any], name: str, default: float, lowest: float, highest: float) -> float:
    value = fields.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise BadRule(f"{name}: a number from {lowest:g} to {highest:g}")
    return float(value)


def _whole(fields: Mapping[str, Any], name: str, highest: int) -> int:
    value = fields.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
        raise BadRule(f"{name}: a whole number from 1 to {highest}")
    return value


def _flag(fields: Mapping[str, Any], name: str, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise BadRule(f"{name}: true or false")
    return value


def _severities(value: Any) -> tuple[tuple[float, Severity], ...]:
    wanted = "severities: pairs of score and severity, both rising, the first score 1.0"
    if not isinstance(value, list | tuple) or not value:
        raise BadRule(wanted)
    try:
        steps = tuple((float(score), Severity(severity)) for score, severity in value)
    except (TypeError, ValueError) as error:
        raise BadRule(wanted) from error
    scores = [score for score, _ in steps]
    ranks = [severity.rank for _, severity in steps]
    if scores[0] != 1.0 or sorted(set(scores)) != scores or sorted(set(ranks)) != ranks:
        raise BadRule(wanted)
    return steps


def _limit(value: Any) -> Limit:
    if not isinstance(value, Mapping) or set(value) - set(Limit.__dataclass_fields__):
        raise BadRule(f"limit: an object of {', '.join(Limit.__dataclass_fields__)}")
    bounds = {}
    for name, number in value.items():
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int | float) or not -_HUGE < number < _HUGE:
            raise BadRule(f"limit: {name} is a number")
        bounds[name] = float(number)
    limit = Limit(**bounds)
    steps = [bound for bound in (limit.lolo, limit.lo, limit.hi, limit.hihi) if bound is not None]
    lower, upper = _first(limit.lo, limit.lolo), _first(limit.hi, limit.hihi)
    if steps != sorted(steps) or (lower is not None and lower == upper):
        raise BadRule("limit: lolo <= lo < hi <= hihi")
    if limit.rate_per_min is not None and limit.rate_per_min <= 0:
        raise BadRule("limit: rate_per_min is above 0")
    return limit


def _rationalisation(value: Any) -> Rationalisation | None:
    try:
        return None if value is None else rationalisation_from_json(value)
    except BadRationalisation as error:
        raise BadRule(str(error)) from error


def _first(*bounds: float | None) -> float | None:
    return next((bound for bound in bounds if bound is not None), None)
