"""The broker as ingest hears it: messages over MQTT 5, each acknowledged only when the loop says so, and never more of
them with us than have room. Beside it what the doctor asks a broker."""
