#!/bin/sh
# Starts Mosquitto in its container. Passwords come from the environment and stay in memory: hashed in a file of the
# tmpfs for the broker, and one as it is for the health check's own eyes. Without them nothing starts.
#
# start.sh [CONFIG [DATA [RUN [PORT]]]]: the folders of what is mounted, what is kept and what is gone at the end.
set -eu
umask 077
config=${1:-/mosquitto/config}
data=${2:-/mosquitto/data}
run=${3:-/run/mosquitto}
port=${4:-1883}

: "${MQTT_BELLWETHER_PASSWORD:?run make secrets}"
: "${MQTT_DEVICES_PASSWORD:?run make secrets}"
: "${MQTT_OPERATOR_PASSWORD:?run make secrets}"

printf '%s\n' "bellwether:$MQTT_BELLWETHER_PASSWORD" "devices:$MQTT_DEVICES_PASSWORD" \
    "operator:$MQTT_OPERATOR_PASSWORD" > "$run/passwords"
mosquitto_passwd -U "$run/passwords"

# Read by mosquitto_sub from $XDG_CONFIG_HOME, so that no password stands on a command line.
printf '%s\n' '-u operator' "-P $MQTT_OPERATOR_PASSWORD" > "$run/mosquitto_sub"

cat "$config/common.conf" - > "$run/mosquitto.conf" << END
listener $port
persistence_location $data/
password_file $run/passwords
acl_file $run/access
log_dest stdout
log_timestamp_format %Y-%m-%dT%H:%M:%S
END
# The broker warns of an access list that others can read.
cp "$config/access" "$run/access"
chmod 0600 "$run/access"

unset MQTT_BELLWETHER_PASSWORD MQTT_DEVICES_PASSWORD MQTT_OPERATOR_PASSWORD
exec mosquitto -c "$run/mosquitto.conf"
