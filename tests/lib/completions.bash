# SPDX-License-Identifier: MIT
# What each shell would complete. complete_in SHELL WORD... prints the
# candidates for the last word of a command line, one a line, as the shell
# itself has them, without descriptions.

COMPLETIONS=$BATS_TEST_DIRNAME/../../fs/completions

complete_in() {
        local shell=$1
        shift
        "complete_in_$shell" "$@"
}

# shellcheck disable=SC2016 # for the inner shells
complete_in_bash() {
        bash --norc -c '
                . /usr/share/bash-completion/bash_completion
                . "$1/bucketmap.bash"
                shift
                COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
                # as readline breaks the line up
                for word; do
                        if [[ $word != [-,/.[:alnum:]_]*=* ]]; then
                                COMP_WORDS+=("$word")
                        else
                                COMP_WORDS+=("${word%%=*}" =)
                                [[ -z ${word#*=} ]] || COMP_WORDS+=("${word#*=}")
                        fi
                done
                COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                # outside of a completion there is none to tell
                compopt() { :; }
                _bucketmap "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
                printf "%s\n" "${COMPREPLY[@]}"
        ' bash "$COMPLETIONS" "$@"
}

complete_in_fish() {
        fish --no-config -c '
                source $argv[1]/bucketmap.fish
                complete -C "$argv[2]"
        ' "$COMPLETIONS" "$*" | cut -f1
}

# In a terminal of its own, in which Tab is pressed.
# shellcheck disable=SC2016 # for the inner shell
complete_in_zsh() {
        local candidates=$SCRATCH/candidates
        : >"$candidates"
        zsh -f -c '
                zmodload zsh/zpty
                zpty -b shell zsh -f -i
                zpty -w shell "PS1= PS2= fpath=($1 \$fpath) CANDIDATES=$2"
                zpty -w shell ". $3"
                zpty -n -w shell "$4"$'\''\t'\''
                until tail -n 1 "$2" | grep -qx done; do
                        # or it waits until somebody reads what it shows
                        zpty -r -t shell shown
                        sleep 0.02
                done
                zpty -d shell
        ' zsh "$COMPLETIONS" "$candidates" "$BATS_TEST_DIRNAME/../lib/candidates.zsh" "$*"
        sed '$d' "$candidates"
}
