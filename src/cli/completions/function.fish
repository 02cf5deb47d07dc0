# Completion of PROGRAM for fish, made by "PROGRAM completions fish". The candidates are printed by PROGRAM itself; it is
# run by its name, never by a path that is being typed. Nothing is printed but the candidates.

function __PROGRAM_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --current-token --cut-at-cursor)
    set -l reply (VARIABLE=fish command PROGRAM -- $words "$current" 2>/dev/null)
    if test $status -eq 3
        __fish_complete_path "$current"
    else
        printf '%s\n' $reply
    end
end
for program in PROGRAMALIASES
    complete --command $program --no-files --keep-order --arguments '(__PROGRAM_complete)'
end
