# SPDX-License-Identifier: MIT
# For an interactive zsh: loads the completions of $fpath. Tab then completes,
# and writes each set of candidates and the word "done" to the file $CANDIDATES.
autoload -U compinit
compinit -D -u
compadd() {
        # with -O, -A or -D candidates are only looked at
        if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)* ]]; then
                local -a candidates
                builtin compadd -A candidates "$@"
                print -rl -- ${(Q)candidates} >>$CANDIDATES
        fi
        builtin compadd "$@"
}
complete-and-tell() {
        zle complete-word
        print done >>$CANDIDATES
}
zle -N complete-and-tell
bindkey '^I' complete-and-tell
