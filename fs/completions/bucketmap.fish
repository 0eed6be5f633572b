# SPDX-License-Identifier: MIT
# Completion of bucketmap(1) for fish.

function __bucketmap_mounted --description 'Mount points (TARGET) or stores (SOURCE) of what is mounted'
    for place in (findmnt -rn -t fuse.bucketmap -o $argv[1] 2>/dev/null)
        printf '%b\n' $place
    end
end

function __bucketmap_mount_options
    printf '%s\t%s\n' \
        ro 'change nothing' \
        nocreate 'do not create a store' \
        allow_other 'let other users in' \
        nopermcheck 'no permission checks on a private mount' \
        unlink=delete 'unlink removes whatever the count' \
        unlink=guard 'a file with a count above 1 stays' \
        list_counts 'listxattr shows the count' \
        security_xattrs 'keep security.* attributes' \
        commit= 'longest time until a change is durable' \
        nomap 'write to the files of the store by calls' \
        buckets= 'at creation: buckets of the root map' \
        max_search= 'at creation: slots that a probe looks at' \
        drive= 'at creation: spread it over this directory, too' \
        clone_fd 'a channel for each thread' \
        noclone_fd 'one channel for all' \
        auto_unmount 'unmount when the daemon dies' \
        allow_root 'let root in' \
        default_permissions 'the kernel checks permissions' \
        exec '' noexec '' suid '' nosuid '' dev '' nodev '' sync '' async '' dirsync '' \
        atime '' noatime '' rw '' context= '' fscontext= '' defcontext= '' rootcontext= '' \
        max_read= 'largest read, in bytes' \
        debug 'show every request'
end

function __bucketmap_needs_command
    not __fish_seen_subcommand_from mount umount create sync info stats export import check refs rm
end

function __bucketmap_command
    complete -c bucketmap -n __bucketmap_needs_command -a $argv[1] -d $argv[2]
end

complete -c bucketmap -f
complete -c bucketmap -s h -l help -d 'Show help'
complete -c bucketmap -s V -l version -d 'Show the version'

__bucketmap_command mount 'show a store as a directory'
__bucketmap_command umount 'end that, and wait until everything is on disk'
__bucketmap_command create 'make an empty store'
__bucketmap_command sync 'make everything written to a mounted store durable'
__bucketmap_command info 'figures about a store'
__bucketmap_command stats 'what the kernel asks of a mounted store'
__bucketmap_command export 'write a store\'s keys as a tar archive'
__bucketmap_command import 'store what is in a tar archive'
__bucketmap_command check 'verify every checksum of a store'
__bucketmap_command refs 'print the counts of files'
__bucketmap_command rm 'remove files whose count is as given'
functions --erase __bucketmap_command

# __bucketmap_option COMMAND ARGUMENTS-OF-complete...
function __bucketmap_option
    complete -c bucketmap -n "__fish_seen_subcommand_from $argv[1]" $argv[2..]
end

__bucketmap_option mount -s d -d 'Show every request; implies -f'
__bucketmap_option mount -s f -d 'Stay in the foreground'
__bucketmap_option mount -s s -d 'Serve with a single thread'
__bucketmap_option mount -s o -x -d 'Mount options' -a '(__fish_append , (__bucketmap_mount_options))'
__bucketmap_option umount -s l -l lazy -d 'Take it from the tree now'
__bucketmap_option umount -s t -l timeout -x -d 'Seconds to wait'
__bucketmap_option create -s b -l buckets -x -d 'Buckets of the root map'
__bucketmap_option create -s d -l drive -x -d 'Spread it over this directory, too' -a '(__fish_complete_directories)'
__bucketmap_option create -s k -l keys -x -d 'How many keys to expect'
__bucketmap_option create -s m -l max-search -x -d 'Slots that a probe looks at'
__bucketmap_option info -s b -l bytes -d 'Plain bytes instead of units'
__bucketmap_option info -s j -l json -d 'For programs'
__bucketmap_option info -s m -l map -d 'Draw the data segments, too'
__bucketmap_option stats -s b -l bytes -d 'Plain bytes instead of units'
__bucketmap_option stats -s c -l count -x -d 'End after so many reports'
__bucketmap_option stats -s H -l histogram -d 'Times by powers of two'
__bucketmap_option stats -s i -l interval -x -d 'Report every so many seconds'
__bucketmap_option stats -s j -l json -d 'For programs'
__bucketmap_option stats -s p -l prometheus -d 'For node_exporter'
__bucketmap_option import -s k -l keep -d 'Leave keys alone that are there already'
__bucketmap_option import -s r -l replace -d 'Replace them'
__bucketmap_option check -s j -l json -d 'For programs'
__bucketmap_option check -s n -l dry-run -d 'With --repair: tell, write nothing'
__bucketmap_option check -s r -l repair -d 'Make a damaged store whole'
__bucketmap_option check -s o -l online -d 'Check a mounted store while it is in use'
__bucketmap_option check -s p -l progress -x -d 'Seconds between lines of progress'
__bucketmap_option refs -s j -l json -d 'For programs'
__bucketmap_option rm -s c -l if-count -x -d 'Remove a file only if its count is this'
__bucketmap_option rm -s f -l force -d 'Files that are not there are no error'

__bucketmap_option 'umount sync stats info export import' -a '(__bucketmap_mounted TARGET)'
__bucketmap_option 'info export import' -a '(__bucketmap_mounted SOURCE)'
__bucketmap_option 'mount create check info export import' -a '(__fish_complete_directories)'
__bucketmap_option 'refs rm' -F
functions --erase __bucketmap_option
