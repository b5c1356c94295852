"""A message on a topic of ours, in whichever form it is, read to where its readings go. Nothing raises."""

from __future__ import annotations

from collections.abc import Callable

from ingest.forms import cbor_forms, content, json_forms, senml, waveforms
from ingest.messages import Message
from ingest.reading import MAX_PAYLOAD_BYTES, Reader
from ingest.reading.refusals import BadMessage
from telemetry.waveform import Waveform

Decoder = Callable[[Reader, bytes], None]
DECODERS: dict[str, Decoder] = {
    content.JSON: json_forms.read,
    content.CBOR: cbor_forms.read,
    content.SENML_JSON: senml.read_json,
    content.SENML_CBOR: senml.read_cbor,
}


def read(reader: Reader, message: Message) -> Waveform | None:
    """Read a message to where its readings go; the block of raw vibration, where it is one."""
    try:
        if len(message.payload) > MAX_PAYLOAD_BYTES:
            raise BadMessage(f"larger than {MAX_PAYLOAD_BYTES} bytes")
        if reader.topic.kind == "waveform":
            return waveforms.read(reader, message.payload)
        DECODERS[content.form_of(message.content_type, message.payload)](reader, message.payload)
    except BadMessage as reason:
        reader.reasons.append(str(reason))
    except Exception as error:  # a mistake of ours must cost one message: raised, it would come again for ever
        reader.reasons.append(f"could not be read: {type(error).__name__}: {error}"[:300])
    return None
