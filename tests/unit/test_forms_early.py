"""What may be taken past a backlog, since it makes no difference to take it twice."""

from __future__ import annotations

from ingest.decoding import NO_MAPPINGS, fit_early
from ingest.messages import Message
from telemetry import Topic

ARRIVED_MS = 1_782_907_200_000
TELEMETRY = "bellwether/v1/demo/pump-1/telemetry"


def refused(topic: Topic) -> tuple[str, str] | None:
    return (topic.tenant, "the device is retired") if topic.device == "retired" else None


def test_what_could_be_told_apart_the_second_time_waits_its_turn() -> None:
    def said(payload: str, topic: str = TELEMETRY) -> Message:
        return Message(topic, payload.encode())

    timed = said(f'{{"ts": {ARRIVED_MS}, "flow": 1, "seq": 7}}')
    column = said(f'{{"t0": {ARRIVED_MS}, "dt": 1, "values": {{"flow": [1, 2]}}}}')
    waiting = [
        said('{"flow": 1}'),
        said(f'[{{"ts": {ARRIVED_MS}, "flow": 1}}, {{"flow": 2}}]'),
        said(f'{{"ts": {ARRIVED_MS}, "flow": 1, "mode": "x"}}'),
        said("rubbish"),
        said(f'{{"ts": {ARRIVED_MS}}}'),
        said(f'{{"ts": {ARRIVED_MS}, "flow": 1}}', "bellwether/v1/demo/retired/telemetry"),
        said('{"online": true}', "bellwether/v1/demo/pump-2/status"),
        said(f'{{"ts": {ARRIVED_MS}, "flow": 1}}', "somewhere/else"),
    ]
    assert fit_early([timed, *waiting, column], ARRIVED_MS * 1000, refused, NO_MAPPINGS) == [timed, column]
    assert fit_early([], ARRIVED_MS * 1000, refused, NO_MAPPINGS) == []
