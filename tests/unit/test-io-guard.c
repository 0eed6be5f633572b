/* SPDX-License-Identifier: MIT */
/* Mappings that fault. The tests' order matters: the guard's handler is
 * installed once in a process, and cmocka installs its own for each test. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io.h"
#include "io_guard.h"

static const struct bm_io *const io = &bm_io_posix;

enum { MAPPED = 64 << 10, FILLED = 4096 };

/* A mapping of a file that ends after its first page. */
static int setup(void **state)
{
        int fd = memfd_create("bucketmap-guard", MFD_CLOEXEC);
        void *base;

        if (fd < 0 || bm_io_call(io, truncate, fd, FILLED) < 0 ||
            bm_io_call(io, map, fd, MAPPED, true, &base) < 0)
                return -1;
        *state = base;
        return close(fd);
}

static int teardown(void **state)
{
        return bm_io_call(io, unmap, *state, MAPPED);
}

static void stray_store(char *base)
{
        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGBUS, SIG_DFL); /* cmocka has one of its own */
        if (bm_guarded_copy(base + 8192, "x", 1) != -EIO)
                _exit(1);
        *(volatile char *)(base + 8192) = 'x';
        _exit(0);
}

static void a_fault_elsewhere_ends_the_process(void **state)
{
        pid_t child = fork();
        int status;

        if (child == 0)
                stray_store(*state);
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void a_fault_while_guarded_is_an_error(void **state)
{
        static const char text[16] = "fifteen letters";
        char *base = *state;

        for (int i = 0; i < 3; i++) {
                assert_int_equal(bm_io_call(io, map_write, -1, base, 9000, text, 16), -EIO);
                assert_int_equal(bm_io_call(io, map_write, -1, base, 100 + i, text, 16), 0);
                assert_memory_equal(base + 100 + i, text, 16);
                assert_int_equal(bm_guarded_touch(base, MAPPED, 4096), -EIO);
                assert_int_equal(bm_guarded_touch(base, FILLED, 4096), 0);
                assert_int_equal(bm_guarded_touch(base, 0, 4096), 0);
                assert_memory_equal(base + 100 + i, text, 16);
        }
        assert_int_equal(bm_io_call(io, map_write, -1, base, FILLED, text, 0), 0);
        assert_true(bm_io_call(io, prefault, -1, base, 8192, 4096) < 0);
        assert_int_equal(bm_io_call(io, prefault, -1, base, 0, FILLED), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(a_fault_elsewhere_ends_the_process, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(a_fault_while_guarded_is_an_error, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
