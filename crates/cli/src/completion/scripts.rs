//! The scripts. Each hands the words typed so far to `PROGRAM __complete` and shows the lines that come back; the line
//! that begins with the byte 1 asks for the names of files.

pub(super) const BASH: &str = r#"# bash completion for PROGRAM
_PROGRAM() {
    local current="${COMP_WORDS[COMP_CWORD]}" line
    local words=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
    # bash takes words apart at : and =, which belong to images and options here.
    if declare -F _get_comp_words_by_ref >/dev/null; then
        local cword cur prev
        _get_comp_words_by_ref -n := -w words -i cword -c cur -p prev
        words=("${words[@]:1:cword-1}")
        current="$cur"
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        case "$line" in
        $'\001'files) compopt -o filenames; COMPREPLY+=($(compgen -f -- "$current")) ;;
        *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" "$current" 2>/dev/null)
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$current"
    fi
}
complete -F _PROGRAM PROGRAM
"#;

pub(super) const FISH: &str = r#"# fish completion for PROGRAM
function __PROGRAM_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l program $words[1]
    for line in ($program __complete -- $words[2..-1] 2>/dev/null)
        if test "$line" = \x01files
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c PROGRAM -f -a '(__PROGRAM_complete)'
"#;

pub(super) const ZSH: &str = r#"#compdef PROGRAM
_PROGRAM() {
    local line
    local -a names
    while IFS= read -r line; do
        if [[ "$line" == $'\001'files ]]; then
            _files
        else
            names+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        fi
    done < <("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    (( ${#names} )) && _describe 'PROGRAM' names
}
compdef _PROGRAM PROGRAM
"#;
