#compdef identity-gateway
# Completions of identity-gateway for zsh, after `autoload -Uz compinit && compinit`.
#
#   source <(identity-gateway completions zsh)
_identity_gateway() {
    local kind value shown program=${(Q)words[1]/#\~\//$HOME/}
    local line="${(j: :)words[1,CURRENT-1]} $IPREFIX$QIPREFIX$PREFIX"
    local -a wholes whole_texts requests request_texts parts part_texts request_parts request_part_texts
    while IFS=$'\t' read -r kind value shown; do
        case $kind in
            word) wholes+=("$value") whole_texts+=("$shown") ;;
            part) parts+=("$value") part_texts+=("$shown") ;;
            request) requests+=("$value") request_texts+=("$shown") ;;
            request-part) request_parts+=("$value") request_part_texts+=("$shown") ;;
        esac
    done < <("$program" completions zsh --line "$line" 2>/dev/null)
    # -Q: a request is in quotes already. -S '': no blank behind it, and the quote stays open.
    (( $#wholes )) && compadd -l -V words -d whole_texts -a wholes
    (( $#parts )) && compadd -l -V parts -S '' -d part_texts -a parts
    (( $#requests )) && compadd -l -V requests -Q -d request_texts -a requests
    (( $#request_parts )) && compadd -l -V fields -Q -S '' -d request_part_texts -a request_parts
    (( $#wholes + $#parts + $#requests + $#request_parts )) || _files
}
# Sourced, or found by its name in `fpath`.
if [[ $funcstack[1] == _identity_gateway || $funcstack[1] == _identity-gateway ]]; then
    _identity_gateway "$@"
else
    compdef _identity_gateway identity-gateway
fi
