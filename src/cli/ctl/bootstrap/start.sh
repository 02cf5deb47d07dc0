# Part of "udpctl bootstrap": starts the agent unless one runs, and prints an invitation. Arguments: its directory, also
# relative to HOME; "new" if the program has just been copied; the address to bind; the host for the invitation, if any.
case $1 in /*) dir=$1 ;; *) dir=$HOME/$1 ;; esac
agent=$dir/udpagent
log=${XDG_STATE_HOME:-$HOME/.local/state}/udpagent/bootstrap.log

runs() {
    "$agent" status </dev/null >/dev/null 2>&1
}

failed() {
    echo "udpctl: failed $1"
    exit 1
}

# True if a service manager of this user goes on without a login.
has_manager() {
    XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
    export XDG_RUNTIME_DIR
    [ "$(loginctl show-user "$(id -un)" --property=Linger --value 2>/dev/null)" = yes ] &&
        systemctl --user show-environment >/dev/null 2>&1
}

start_service() {
    units=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user
    mkdir -p "$units" || failed "$units cannot be made"
    cat >"$units/udpagent.service" <<UNIT
# Made by "udpctl bootstrap".
[Unit]
Description=Remote commands and chat over UDP
[Service]
Type=notify
ExecStart=$agent --bind $1
ExecReload=/bin/kill -HUP \$MAINPID
Restart=on-failure
KillMode=process
TimeoutStopSec=15
[Install]
WantedBy=default.target
UNIT
    systemctl --user daemon-reload </dev/null >&2
    systemctl --user enable --now udpagent.service </dev/null >&2 ||
        failed "systemctl --user status udpagent.service tells why"
}

start_detached() {
    mkdir -p "${log%/*}" || failed "${log%/*} cannot be made"
    setsid "$agent" --bind "$1" </dev/null >"$log" 2>&1 &
    tries=0
    until runs; do
        tries=$((tries + 1))
        if [ "$tries" -gt 100 ] || ! kill -0 "$!" 2>/dev/null; then
            failed "$(tail -n 1 "$log")"
        fi
        sleep 0.1
    done
}

umask 077
if runs; then
    if [ "$2" = new ]; then
        "$agent" reload </dev/null >/dev/null || failed "\"udpagent reload\" does not take the new program"
        echo "udpctl: agent runs with the new program"
    else
        echo "udpctl: agent runs already"
    fi
elif has_manager; then
    start_service "$3"
    echo "udpctl: agent started as a service of the user, udpagent.service"
else
    start_detached "$3"
    echo "udpctl: agent started without a service manager, until the host restarts; its log is $log"
fi
"$agent" invite ${4:+--host "$4"} </dev/null || failed "\"udpagent invite\" makes no invitation"
