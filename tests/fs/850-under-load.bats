# SPDX-License-Identifier: MIT
# A mount that does everything at once: several clients, counts, hashes,
# syncs, an online check, figures, exports; and, since what is written makes
# older bytes dead, compaction and checkpoints. With a daemon that was built with
# the thread sanitizer any report of it is a failure. BM_OPS sets the number of
# a client's operations, BM_SEED repeats what they choose.
load ../lib/bucketmap

CLIENTS=4

# Asks for all that goes on beside the clients, until the file `finished` is there.
bystanders() {
        while [ ! -e finished ]; do
                "$BUCKETMAP" sync "$MNT" || return
                "$BUCKETMAP" info "$MNT" >info.log || return
                "$BUCKETMAP" stats --json "$MNT" >stats.log || return
                "$BUCKETMAP" check --online "$MNT" >check.log || return
                # what is removed meanwhile is missed, and said
                "$BUCKETMAP" export "$MNT" >export.tar 2>export.log || [ $? -eq 1 ] || return
                kill -s USR1 "$daemon" || return
        done
}

# figure .NAME: one of "bucketmap info --json"
figure() {
        "$BUCKETMAP" info --json "$MNT" | jq "$1"
}

# The counts of $MNT/shared/*, added up
shared_counts() {
        local file sum=0
        for file in "$MNT"/shared/*; do
                sum=$((sum + $(getfattr --only-values --absolute-names -n user.bucketmap.refcount "$file")))
        done
        echo "$sum"
}

# clients ROUND: all at once; adds to $added what they did to the counts
clients() {
        local client pids=() pid result=0
        for ((client = 0; client < CLIENTS; client++)); do
                python3 "$BATS_TEST_DIRNAME/../lib/mount_client.py" "$MNT" "$1$client" "${BM_OPS:-400}" \
                        "${BM_SEED:-1}.$1" >"client$client.log" 2>&1 3>&- &
                pids+=($!)
        done
        for pid in "${pids[@]}"; do
                wait "$pid" || result=1
        done
        [ "$result" -eq 0 ] || {
                cat client*.log
                return 1
        }
        for ((client = 0; client < CLIENTS; client++)); do
                added=$((added + $(cat "client$client.log")))
        done
}

worked_behind() {
        [ "$(figure .compacted_bytes)" -gt 0 ] && [ "$(figure .checkpoints)" -gt 0 ]
}

@test "clients, upkeep and questions at once: nothing is lost, and no race is seen" {
        require_fuse
        require_command python3 jq getfattr
        local other added=0 round=0 exit_code
        export TSAN_OPTIONS="log_path=$SCRATCH/race exitcode=66"
        mount_foreground
        unset TSAN_OPTIONS
        mkdir "$MNT/shared"
        touch "$MNT"/shared/k{0,1,2}
        bystanders >bystanders.log 2>&1 3>&- &
        other=$!
        until worked_behind && [ "$round" -gt 0 ]; do
                clients $((round += 1))
                # what the next round makes dead is enough to compact
                rm -r "${MNT:?}/$round"*
        done
        touch finished
        wait "$other" || {
                cat bystanders.log check.log
                return 1
        }
        assert_equal "$(shared_counts)" $((3 + added))
        umount_store
        exit_code=0
        wait "$daemon" || exit_code=$?
        cat race* 2>/dev/null && return 1
        assert_equal "$exit_code" 0
        check_store
}
