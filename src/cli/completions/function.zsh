#compdef PROGRAMALIASES
# Completion of PROGRAM for zsh, made by "PROGRAM completions zsh". The candidates are printed by PROGRAM itself; it is
# run by its name, never by a path that is being typed. Nothing is printed but the candidates.

_PROGRAM() {
    local reply line value
    local -a values shown unfinished
    reply="$(VARIABLE=zsh command PROGRAM -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)"
    if (( $? == 3 )); then
        _files
        return
    fi
    for line in "${(@f)reply}"; do
        value="${line%%$'\t'*}"
        if [[ -z $value ]]; then
            continue
        elif [[ $value == *[/:] ]]; then
            unfinished+=("$value")
        else
            values+=("$value")
            shown+=("${line/$'\t'/  -- }")
        fi
    done
    (( $#unfinished )) && compadd -S '' -a unfinished
    if [[ $reply == *$'\t'* ]]; then
        compadd -l -d shown -a values
    else
        compadd -a values
    fi
}

if [[ ${funcstack[1]} == _PROGRAM ]]; then
    _PROGRAM "$@"
else
    compdef _PROGRAM PROGRAMALIASES
fi
