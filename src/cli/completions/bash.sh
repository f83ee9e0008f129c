# Completions of identity-gateway for bash.
#
#   source <(identity-gateway completions bash)
_identity_gateway() {
    local candidate listing=() program=${1/#\~\//$HOME/}
    # Tab was pressed twice: bash shows the candidates and inserts none.
    [[ $COMP_TYPE == 63 ]] && listing=(--listing)
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <("$program" completions bash --line "${COMP_LINE:0:COMP_POINT}" --word "$2" "${listing[@]}" 2>/dev/null)
}
complete -o default -o nospace -F _identity_gateway identity-gateway
