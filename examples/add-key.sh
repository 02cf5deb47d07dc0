#!/bin/sh
# For udpctl exec --script: adds a line to the authorized_keys of an agent, once, however often it is run.
# Arguments: the directory of the file, a key, and the rest of its line: a name and options.
set -eu
directory=$1 key=$2 rest=$3
file=$directory/authorized_keys
umask 077
exec 9>>"$file"
flock 9
grep -qF "$key" "$file" || printf '%s %s\n' "$key" "$rest" >&9
