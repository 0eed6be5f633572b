#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Programs that ask more of a filesystem: editors, git, databases, Python, cc.

load ../lib/bucketmap

setup() {
        scratch_new
        require_fuse
        mount_store
        export HOME=$SCRATCH GIT_CONFIG_NOSYSTEM=1
}

@test "vim saves, with a backup and without" {
        require_command vim
        printf 'one\ntwo\n' >"$MNT/text"
        setfattr -n user.bucketmap.refcount -v 3 "$MNT/text"
        run_cmd vim -u NONE -es -c '%s/two/2/' -c wq "$MNT/text"
        run_cmd cat "$MNT/text"
        assert_output "one
2"
        run_cmd vim -u NONE -es -c 'set backup writebackup backupcopy=no backupdir=.' -c 'normal Gothree' -c wq "$MNT/text"
        run_cmd cat "$MNT/text"
        assert_output "one
2
three"
        assert_equal "$(getfattr --absolute-names --only-values -n user.bucketmap.refcount "$MNT/text")" 3
        run_cmd find "$MNT" -name '*.sw?'
        assert_output ""
}

@test "git: init, commit, branch, clone, gc, fsck" {
        require_command git
        git config --global user.name Test
        git config --global user.email test@example.org
        git config --global init.defaultBranch main
        run_cmd git init -q "$MNT/repo"
        cd "$MNT/repo"
        for i in {1..60}; do
                mkdir -p "dir$((i % 5))"
                seq "$i" >"dir$((i % 5))/file$i"
        done
        run_cmd git add .
        run_cmd git commit -qm first
        run_cmd git checkout -qb topic
        echo change >>dir1/file1
        run_cmd git rm -q dir2/file2
        run_cmd git commit -qam second
        run_cmd git checkout -q main
        run_cmd git merge -q topic
        run_cmd git status --porcelain
        assert_output ""
        run_cmd git gc -q --prune=now
        run_cmd git fsck --strict --no-dangling
        cd "$SCRATCH"
        remount_store
        run_cmd git -C "$MNT/repo" fsck --strict --no-dangling
        run_cmd git -C "$MNT/repo" status --porcelain
        assert_output ""
        run_cmd git clone -q "$MNT/repo" "$SCRATCH/clone"
        run_cmd git -C "$SCRATCH/clone" log --oneline
        assert_equal "${#lines[@]}" 2
}

@test "sqlite3, with a rollback journal and with a write-ahead log" {
        require_command sqlite3
        for mode in delete wal; do
                run_cmd sqlite3 "$MNT/$mode.db" "pragma journal_mode=$mode; create table t(k integer primary key, v text);"
                assert_output "$mode"
                run_cmd sqlite3 "$MNT/$mode.db" "
                        begin; with recursive n(i) as (select 1 union all select i+1 from n where i<5000)
                        insert into t select i, hex(randomblob(50)) from n; commit;
                        update t set v='changed' where k%10=0; delete from t where k%7=0; vacuum;"
                run_cmd sqlite3 "$MNT/$mode.db" "pragma integrity_check; select count(*) from t; select count(*) from t where v='changed';"
                assert_output "ok
4286
429"
        done
        remount_store
        for mode in delete wal; do
                run_cmd sqlite3 "$MNT/$mode.db" "pragma integrity_check; select count(*) from t;"
                assert_output "ok
4286"
        done
}

@test "several sqlite3 writers wait for each other's locks" {
        require_command sqlite3
        sqlite3 "$MNT/db" "create table t(who, n)"
        for who in 1 2 3 4; do
                for n in {1..10}; do
                        sqlite3 -cmd ".timeout 60000" "$MNT/db" "insert into t values($who, $n)" || echo "writer $who failed" >>failures
                done &
        done
        wait
        assert_file_not_exists failures
        run_cmd sqlite3 "$MNT/db" "select count(*) from t"
        assert_output 40
}

@test "Python: the calls of the os module" {
        require_command python3
        run_cmd python3 "${BATS_TEST_DIRNAME}/../lib/os_calls.py" "$MNT"
}

@test "a compiler and make build in it, and the program runs" {
        require_command gcc make
        printf '#include <stdio.h>\nint main(void) { puts("hello from below"); return 0; }\n' >"$MNT/hello.c"
        printf 'hello: hello.c\n\tgcc -o $@ $<\n' >"$MNT/Makefile"
        run_cmd make -C "$MNT"
        run_cmd "$MNT/hello"
        assert_output "hello from below"
        run_cmd make -C "$MNT"
        assert_output --partial "up to date"
        # a program that runs cannot be written to
        cp "$(command -v sleep)" "$MNT/sleep"
        "$MNT/sleep" 1000 3>&- &
        pid=$!
        wait_until test "/proc/$pid/exe" -ef "$MNT/sleep"
        run_cmd -any sh -c 'echo >"$0"' "$MNT/sleep"
        kill "$pid"
        wait "$pid" || true
        assert_output --partial "Text file busy"
}

@test "programs and scripts run from it; what runs cannot be written to" {
        require_command gcc
        cat >program.c <<'END'
#include <stdio.h>
#include <unistd.h>
int main(void)
{
        char byte;
        puts("up");
        fflush(stdout);
        return read(0, &byte, 1) == 1;
}
END
        run_cmd gcc -o "$MNT/program" program.c
        printf '#!/bin/sh\necho "script $1"\n' >"$MNT/script"
        run_cmd -126 bash -c '"$1"' - "$MNT/script"
        chmod +x "$MNT/script"
        run_cmd "$MNT/script" one
        assert_output "script one"
        mkfifo input output
        "$MNT/program" <input >output 3>&- &
        pid=$!
        exec 5>input
        read -r up <output
        assert_equal "$up" up
        run_cmd -1 bash -c 'exec 6>>"$1"' - "$MNT/program"
        assert_output --partial "Text file busy"
        # replaced or removed it may be; what runs goes on
        cp "$MNT/program" "$MNT/other"
        mv "$MNT/other" "$MNT/program"
        rm "$MNT/program"
        exec 5>&-
        wait "$pid"
        # as soon as it has ended it can be written to
        run_cmd gcc -o "$MNT/program" program.c
        run_cmd "$MNT/program"
        run_cmd bash -c 'exec 6>>"$1"' - "$MNT/program"
}

@test "flock and fcntl locks" {
        require_command flock
        echo data >"$MNT/file"
        exec 8>>"$MNT/file"
        flock 8
        run_cmd -1 flock -n "$MNT/file" true
        flock -u 8
        run_cmd flock -n "$MNT/file" true
        exec 8>&-
}
