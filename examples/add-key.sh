#!/bin/sh
# For udpctl exec --script: adds a line to the authorized_keys of an agent, once, however often it is run.
# Arguments: the directory of the file, a key, and the rest of its line: a name and options.
set -eu
directory=$1 key=$2 rest=$3
file=$directory/authorized_keys
umask 077
exec 9>>"$file"
flock 9
if grep -q "^$key " "$file"; then
    grep -qxF "$key $rest" "$file" || { echo "$file has another line with this key" >&2; exit 1; }
    exit
fi
# A line that was written by hand may have no end.
if [ -s "$file" ] && [ -n "$(tail -c1 "$file")" ]; then echo >&9; fi
printf '%s %s\n' "$key" "$rest" >&9
