#!/bin/sh
# Asks several hosts how long they have been up, and fails unless every one of them answered.
#
#   examples/uptime.sh web1 web2:7001 '[2001:db8::7]:7000'
set -eu

if [ $# -eq 0 ]; then
    echo "usage: $0 TARGET..." >&2
    exit 2
fi

# argv is passed on as it stands: no quoting, no remote shell. The exit status says whether all hosts
# answered and succeeded (0), and what was wrong otherwise: see EXIT STATUS in udpctl(1).
if udpctl exec "$@" -- uptime; then
    echo "all up" >&2
else
    status=$?
    echo "not all of them: $status" >&2
    exit "$status"
fi
