# Completion of PROGRAM for bash, made by "PROGRAM completions bash". The candidates are printed by PROGRAM itself; it is
# run by its name, never by a path that is being typed. Nothing is printed but the candidates.

_PROGRAM_complete() {
    local reply status
    COMPREPLY=()
    reply=$(VARIABLE=bash command PROGRAM -- "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
    status=$?
    if ((status == 3)); then
        compopt -o default
    elif [[ $reply ]]; then
        mapfile -t COMPREPLY <<<"$reply"
        if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/:] ]]; then
            compopt -o nospace
        fi
    fi
}
complete -F _PROGRAM_complete PROGRAMALIASES
