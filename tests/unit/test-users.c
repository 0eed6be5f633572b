/* SPDX-License-Identifier: MIT */
/* fs/users: which processes use a directory. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "users.h"

static char dir[] = "/tmp/bucketmap-users.XXXXXX";

static int make(void **state)
{
        return mkdtemp(dir) ? 0 : -1;
}

static int drop(void **state)
{
        return rmdir(dir);
}

/* Whoever walks through all of /tmp uses each directory for a moment: they go again. */
static void wait_for_users(size_t n, const char *wanted)
{
        char text[256];

        while (mount_users(dir, text, sizeof(text)) != n)
                ;
        assert_string_equal(text, wanted);
}

static void nobody(void **state)
{
        wait_for_users(0, "");
}

/* A child that has what this process has at the moment, and does nothing. */
static pid_t start_user(void)
{
        pid_t pid = fork();

        if (pid == 0) {
                for (;;)
                        pause();
        }
        assert_true(pid > 0);
        return pid;
}

static void end_user(pid_t pid)
{
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

static void an_open_file_and_a_working_directory(void **state)
{
        char wanted[64];
        int fd = open(dir, O_RDONLY);
        pid_t user;

        assert_true(fd >= 0);
        user = start_user();
        snprintf(wanted, sizeof(wanted), "process %d (test-users)", (int)user);
        wait_for_users(1, wanted);
        end_user(user);
        close(fd);
        assert_int_equal(chdir(dir), 0);
        user = start_user();
        assert_int_equal(chdir("/"), 0);
        snprintf(wanted, sizeof(wanted), "process %d (test-users)", (int)user);
        wait_for_users(1, wanted);
        end_user(user);
}

static void not_the_caller(void **state)
{
        int fd = open(dir, O_RDONLY);

        assert_true(fd >= 0);
        wait_for_users(0, "");
        close(fd);
}

static void more_than_fit(void **state)
{
        char text[64];

        /* every process that we may look into is below / */
        assert_true(mount_users("/", text, 8) >= 1);
        assert_true(strlen(text) < 8);
        assert_true(mount_users("/", text, sizeof(text)) >= 1);
        assert_true(strlen(text) < sizeof(text));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(nobody),
                cmocka_unit_test(an_open_file_and_a_working_directory),
                cmocka_unit_test(not_the_caller),
                cmocka_unit_test(more_than_fit),
        };

        return cmocka_run_group_tests(tests, make, drop);
}
