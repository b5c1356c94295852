#!/bin/sh
# Starts Mosquitto in its container. Passwords come from the environment and stay in memory: hashed in a file of the
# tmpfs for the broker, and one as it is for the health check's own eyes; so does the key of its certificate. Without
# them nothing starts. What the plugin knows, which is the credentials of devices as hashes, is kept with the data.
#
# start.sh [CONFIG [DATA [RUN [PLUGIN [PORT [PASSWORD_PORT [CERTIFICATE_PORT]]]]]]]: the folders of what is mounted, what
# is kept and what is gone at the end; the plugin; the plain port, and those with TLS.
set -eu
umask 077
config=${1:-/mosquitto/config}
data=${2:-/mosquitto/data}
run=${3:-/run/mosquitto}
plugin=${4:-/usr/lib/mosquitto_dynamic_security.so}
port=${5:-1883}
password_port=${6:-8883}
certificate_port=${7:-8884}

: "${MQTT_BELLWETHER_PASSWORD:?run make secrets}"
: "${MQTT_DEVICES_PASSWORD:?run make secrets}"
: "${MQTT_OPERATOR_PASSWORD:?run make secrets}"
: "${MQTT_GATE_PASSWORD:?run make secrets}"
: "${MQTT_TLS_AUTHORITY:?run make certs}"
: "${MQTT_TLS_CERTIFICATE:?run make certs}"
: "${MQTT_TLS_KEY:?run make certs}"

printf '%s\n' "bellwether:$MQTT_BELLWETHER_PASSWORD" "devices:$MQTT_DEVICES_PASSWORD" \
    "operator:$MQTT_OPERATOR_PASSWORD" "gate:$MQTT_GATE_PASSWORD" > "$run/passwords"
mosquitto_passwd -U "$run/passwords"

# Read by mosquitto_sub from $XDG_CONFIG_HOME, so that no password stands on a command line.
printf '%s\n' '-u operator' "-P $MQTT_OPERATOR_PASSWORD" > "$run/mosquitto_sub"

printf '%s' "$MQTT_TLS_AUTHORITY" | base64 -d > "$run/ca.crt"
printf '%s' "$MQTT_TLS_CERTIFICATE" | base64 -d > "$run/server.crt"
printf '%s' "$MQTT_TLS_KEY" | base64 -d > "$run/server.key"

if [ ! -e "$data/dynamic-security.json" ]; then
    cat "$config/dynamic-security.json" > "$data/dynamic-security.json.first"
    mv "$data/dynamic-security.json.first" "$data/dynamic-security.json"
fi

tls="certfile $run/server.crt
keyfile $run/server.key
tls_version tlsv1.2
use_username_as_clientid true"
cat "$config/common.conf" - > "$run/mosquitto.conf" << END
persistence_location $data/
password_file $run/passwords
plugin $plugin
plugin_opt_config_file $data/dynamic-security.json
log_dest stdout
log_timestamp_format %Y-%m-%dT%H:%M:%S
listener $port
listener $password_port
$tls
listener $certificate_port
$tls
cafile $run/ca.crt
require_certificate true
use_identity_as_username true
END

unset MQTT_BELLWETHER_PASSWORD MQTT_DEVICES_PASSWORD MQTT_OPERATOR_PASSWORD MQTT_GATE_PASSWORD
unset MQTT_TLS_AUTHORITY MQTT_TLS_CERTIFICATE MQTT_TLS_KEY
exec mosquitto -c "$run/mosquitto.conf"
