# SPDX-License-Identifier: MIT
# Completion of bucketmap(1) for bash, with the functions of bash-completion.

# Adds the mount points (TARGET) or stores (SOURCE) of what is mounted, as
# they are typed: absolute, or from the working directory.
_bucketmap_mounted() {
        local place
        while read -r place; do
                printf -v place %b "$place"
                if [[ $place = "$cur"* ]]; then
                        COMPREPLY+=("$place")
                elif [[ $place = "$PWD/$cur"* ]]; then
                        COMPREPLY+=("${place#"$PWD/"}")
                fi
        done < <(findmnt -rn -t fuse.bucketmap -o "$1" 2>/dev/null)
        [ ${#COMPREPLY[@]} -eq 0 ] || compopt -o filenames
}

# A list of mount options, of which the last is completed.
_bucketmap_mount_options() {
        local done='' word=$cur options='ro nocreate allow_other nopermcheck unlink=delete unlink=guard
                list_counts security_xattrs commit= nomap buckets= max_search= drive= clone_fd noclone_fd
                auto_unmount allow_root default_permissions exec noexec suid nosuid dev nodev sync async dirsync
                atime noatime rw context= fscontext= defcontext= rootcontext= max_read= debug'
        if [[ $cur = *,* ]]; then
                done=${cur%,*},
                word=${cur##*,}
        fi
        case $word in
        drive=*)
                mapfile -t COMPREPLY < <(compgen -P "${done}drive=" -S / -d -- "${word#drive=}")
                compopt -o nospace
                ;;
        *)
                mapfile -t COMPREPLY < <(compgen -P "$done" -W "$options" -- "$word")
                [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
                ;;
        esac
        # readline replaces only what follows the last '='
        [[ $cur != *=* || $COMP_WORDBREAKS != *=* ]] ||
                COMPREPLY=("${COMPREPLY[@]#"${cur%"${cur##*=}"}"}")
}

# The options of a command that want a word after them.
_bucketmap_wants() {
        case $1:$2 in
        mount:-o) echo options ;;
        create:-d | create:--drive) echo directory ;;
        umount:-t | umount:--timeout) echo number ;;
        create:-[bkm] | create:--buckets | create:--keys | create:--max-search) echo number ;;
        stats:-[ci] | stats:--count | stats:--interval) echo number ;;
        check:-p | check:--progress) echo number ;;
        rm:-c | rm:--if-count) echo number ;;
        esac
}

_bucketmap() {
        local cur prev words cword split command='' options wants i
        _init_completion -s || return

        for ((i = 1; i < cword; i++)); do
                [[ ${words[i]} = -* ]] || {
                        command=${words[i]}
                        break
                }
        done
        wants=$(_bucketmap_wants "$command" "$prev")
        case $wants in
        options)
                _bucketmap_mount_options
                return
                ;;
        directory)
                _filedir -d
                return
                ;;
        number)
                return
                ;;
        esac
        $split && return

        if [[ $cur = -* ]]; then
                case $command in
                mount) options='-d -f -o -s' ;;
                umount) options='-l --lazy -t --timeout=' ;;
                create) options='-b --buckets= -d --drive= -k --keys= -m --max-search=' ;;
                info) options='-b --bytes -j --json -m --map' ;;
                stats) options='-b --bytes -c --count= -H --histogram -i --interval= -j --json -p --prometheus' ;;
                import) options='-k --keep -r --replace' ;;
                check) options='-j --json -n --dry-run -o --online -r --repair -p --progress=' ;;
                refs) options='-j --json' ;;
                rm) options='-c --if-count= -f --force' ;;
                *) options= ;;
                esac
                mapfile -t COMPREPLY < <(compgen -W "$options -h --help -V --version" -- "$cur")
                [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace
                return
        fi

        case $command in
        '')
                mapfile -t COMPREPLY < <(compgen -W 'mount umount create sync info stats export import
                        check refs rm' -- "$cur")
                ;;
        umount | sync | stats)
                _bucketmap_mounted TARGET
                [ ${#COMPREPLY[@]} -gt 0 ] || _filedir -d
                ;;
        info | export | import)
                _bucketmap_mounted TARGET
                _bucketmap_mounted SOURCE
                _filedir -d
                ;;
        mount | create | check)
                _filedir -d
                ;;
        refs | rm)
                _filedir
                ;;
        esac
} && complete -F _bucketmap bucketmap
