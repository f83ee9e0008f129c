# Completions of identity-gateway for fish.
#
#   identity-gateway completions fish | source
function __identity_gateway_complete
    set -l words (commandline --current-process --tokenize)
    set -l program (string replace --regex '^~/' "$HOME/" -- $words[1])
    $program completions fish --line (commandline --current-process --cut-at-cursor | string collect) 2>/dev/null
end
complete --command identity-gateway --no-files --keep-order --arguments '(__identity_gateway_complete)'
