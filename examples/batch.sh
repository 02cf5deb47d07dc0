#!/bin/sh
# Runs a command on several hosts through "udpctl batch" and prints the line of JSON of each as it ends.
#
#   examples/batch.sh 'web[01-40]' db:7001 -- systemctl is-active nginx
set -eu

# Writes words as the members of a JSON list. A word with a control character is refused by udpctl.
list() {
    comma=
    for word; do
        escaped=$(printf '%s.' "$word" | sed 's/[\\"]/\\&/g')
        printf '%s"%s"' "$comma" "${escaped%.}"
        comma=,
    done
}

targets=0
for word; do
    [ "$word" != -- ] || break
    targets=$((targets + 1))
done
if [ "$targets" -eq 0 ] || [ $# -lt $((targets + 2)) ]; then
    echo "usage: $0 TARGET... -- COMMAND..." >&2
    exit 2
fi

# Each target has a line of its own, with its place as the tag.
tag=0
while [ "$tag" -lt "$targets" ]; do
    target=$1
    tag=$((tag + 1))
    shift
    rest=$((targets - tag + 1))
    printf '{"target":%s,"argv":[%s],"timeout":"1m","tag":%d}\n' \
        "$(list "$target")" "$(shift "$rest" && list "$@")" "$tag"
done | udpctl batch -
