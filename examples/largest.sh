#!/bin/sh
# The largest files below a folder of another host, without copying this there first.
#
#   udpctl exec web1 --script examples/largest.sh -- /var/log 5
set -eu

folder=${1:?a folder}
count=${2:-10}
find "$folder" -xdev -type f -printf '%s %p\n' | sort -rn | head -n "$count"
