/* SPDX-License-Identifier: MIT */
/* fs/storelock: waiting for the process that has a store. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "storelock.h"

static char store[] = "/tmp/bucketmap-lock.XXXXXX";
static char lock[sizeof(store) + 8];

static int make(void **state)
{
        FILE *file;

        if (!mkdtemp(store))
                return -1;
        snprintf(lock, sizeof(lock), "%s/lock", store);
        file = fopen(lock, "w");
        if (!file)
                return -1;
        fprintf(file, "%d mounted at /a b\n", (int)getpid());
        return fclose(file);
}

static int drop(void **state)
{
        return unlink(lock) | rmdir(store);
}

/* A process that has the lock until it is killed. */
static pid_t holder(void)
{
        int ready[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                int fd = open(lock, O_RDWR);

                if (flock(fd, LOCK_EX) || write(ready[1], "", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        close(ready[1]);
        return pid;
}

static void end(pid_t pid)
{
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void tells_who_has_it(void **state)
{
        struct store_holder who;
        int fd = store_lock_open(store);

        assert_true(fd >= 0);
        store_lock_holder(fd, &who);
        assert_int_equal(who.pid, getpid());
        assert_string_equal(who.note, "mounted at /a b");
        close(fd);
        assert_int_equal(store_lock_open("/tmp/bucketmap-not-there"), -ENOENT);
}

static void a_dead_process_does_not_have_it(void **state)
{
        struct store_holder who;
        pid_t pid = fork();
        FILE *file;
        int fd;

        if (pid == 0)
                _exit(0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        file = fopen(lock, "w");
        assert_non_null(file);
        fprintf(file, "%d mounted at /a\n", (int)pid);
        fclose(file);
        fd = store_lock_open(store);
        store_lock_holder(fd, &who);
        assert_int_equal(who.pid, 0);
        assert_string_equal(who.note, "");
        close(fd);
}

static int go_on(void *ctx, unsigned seconds)
{
        return 0;
}

static void a_free_lock_is_not_waited_for(void **state)
{
        int fd = store_lock_open(store), other;

        assert_int_equal(store_lock_wait(fd, false, go_on, NULL), 0);
        /* and not kept */
        other = open(lock, O_RDWR);
        assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
        close(other);
        close(fd);
}

/* Kills the holder at the first tick that shows that it was waited for. */
static int kill_later(void *ctx, unsigned seconds)
{
        if (seconds == 1)
                end(*(pid_t *)ctx);
        return 0;
}

static void ends_with_the_holder(void **state)
{
        pid_t pid = holder();
        int fd = store_lock_open(store);

        assert_int_equal(store_lock_wait(fd, false, kill_later, &pid), 0);
        close(fd);
}

static int give_up(void *ctx, unsigned seconds)
{
        return seconds == 1 ? 77 : 0;
}

static void readers_count_if_asked_for(void **state)
{
        int fd = store_lock_open(store), reader = open(lock, O_RDONLY);

        assert_int_equal(flock(reader, LOCK_SH), 0);
        assert_int_equal(store_lock_wait(fd, false, go_on, NULL), 0);
        assert_int_equal(store_lock_wait(fd, true, give_up, NULL), 77);
        close(reader);
        assert_int_equal(store_lock_wait(fd, true, give_up, NULL), 0);
        close(fd);
}

static void ends_when_told(void **state)
{
        pid_t pid = holder();
        int fd = store_lock_open(store), other = open(lock, O_RDWR);

        assert_int_equal(store_lock_wait(fd, false, give_up, NULL), 77);
        assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
        assert_int_equal(errno, EWOULDBLOCK);
        end(pid);
        close(other);
        close(fd);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(tells_who_has_it),
                cmocka_unit_test(a_dead_process_does_not_have_it),
                cmocka_unit_test(a_free_lock_is_not_waited_for),
                cmocka_unit_test(ends_with_the_holder),
                cmocka_unit_test(ends_when_told),
                cmocka_unit_test(readers_count_if_asked_for),
        };

        return cmocka_run_group_tests(tests, make, drop);
}
