"""Which form a telemetry message has: by its MQTT 5 content type where that says so, else by its first bytes.

`application/senml+json` and `application/senml+cbor` (and their streaming kin, `sensml`) say all. `application/json`
and `application/cbor` say how the bytes are to be read, and what was read says the rest. Any other content type is
taken for none: libraries send `text/plain` with everything.

Without one, the first byte tells CBOR's lists and maps from JSON, whatever they hold: no JSON text begins with a byte
above 0x7f. In a list, SenML is told by its first record: in CBOR its labels are numbers, in JSON it says a name, `bn`
or `n`, as a text, and has no field that SenML does not know. Neither costs another form a reading: keys that are
numbers and points that are texts are refused there.
"""

from __future__ import annotations

import orjson

from ingest.forms.senml import is_pack

JSON, CBOR, SENML_JSON, SENML_CBOR = "json", "cbor", "senml+json", "senml+cbor"

_TYPES = {
    "application/json": JSON,
    "text/json": JSON,
    "application/cbor": CBOR,
    "application/senml+json": SENML_JSON,
    "application/sensml+json": SENML_JSON,
    "application/senml+cbor": SENML_CBOR,
    "application/sensml+cbor": SENML_CBOR,
}
_SPACE = b" \t\r\n"
_SELF_DESCRIBED_CBOR = b"\xd9\xd9\xf7"
# CBOR's major types, the upper three bits of an item's first byte.
_LIST, _MAP, _TAG, _NEGATIVE = 4, 5, 6, 1
# Bytes of a CBOR item's head by the lower five bits of its first; below 24 the first says it all.
_LONGER_HEADS = {24: 2, 25: 3, 26: 5, 27: 9}


def form_of(content_type: str, payload: bytes) -> str:
    """The form of a payload: one of `JSON`, `CBOR`, `SENML_JSON`, `SENML_CBOR`. What is none of them is called JSON."""
    if not content_type and payload[:1] == b"{":  # nearly always
        return JSON
    form = _TYPES.get(content_type.partition(";")[0].strip().lower())
    if form is None:
        form = CBOR if _LIST <= payload[:1].rjust(1)[0] >> 5 <= _TAG else JSON
    if form == JSON:
        return SENML_JSON if _begins_as_senml_json(payload) else JSON
    if form == CBOR:
        return SENML_CBOR if _begins_as_senml_cbor(payload) else CBOR
    return form


def _begins_as_senml_json(payload: bytes) -> bool:
    text = payload.lstrip(_SPACE)
    if text[:1] != b"[":
        return False
    # A record holds no object, so it ends with the first brace, unless that is in a text; then it is none that we tell.
    record = text[1 : text.find(b"}") + 1]
    try:
        return is_pack([orjson.loads(record)])
    except orjson.JSONDecodeError:
        return False


def _begins_as_senml_cbor(payload: bytes) -> bool:
    at = len(_SELF_DESCRIBED_CBOR) if payload.startswith(_SELF_DESCRIBED_CBOR) else 0
    for major in (_LIST, _MAP):
        if not payload[at : at + 1] or payload[at] >> 5 != major:
            return False
        at += _LONGER_HEADS.get(payload[at] & 31, 1)
    return bool(payload[at : at + 1]) and payload[at] >> 5 <= _NEGATIVE
