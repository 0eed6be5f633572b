/* SPDX-License-Identifier: MIT */
/* Mappings that fault. The guard's handler is installed once in a process,
 * and cmocka installs its own for each test: so it is kept and put back. */
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
#include "io_mapped.h"

static const struct bm_io *const io = &bm_io_posix;

enum { MAPPED = 64 << 10, FILLED = 4096 };

static struct sigaction ours;

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

/* How a process ends that stores where nobody guards it, with a handler of
 * nobody's before the library's. */
static int stray_status;

static void stray_store(void)
{
        void *base;

        setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        signal(SIGBUS, SIG_DFL); /* a sanitizer's own would exit instead */
        if (setup(&base) < 0 || bm_guarded_copy((char *)base + 8192, "x", 1) != -EIO)
                _exit(1);
        base = mmap(NULL, MAPPED, PROT_READ | PROT_WRITE, MAP_SHARED,
                    memfd_create("bucketmap-guard", MFD_CLOEXEC), 0);
        *(volatile char *)base = 'x';
        _exit(0);
}

static void a_fault_elsewhere_ends_the_process(void **state)
{
        assert_true(WIFSIGNALED(stray_status));
        assert_int_equal(WTERMSIG(stray_status), SIGBUS);
}

static void a_fault_while_guarded_is_an_error(void **state)
{
        static const char text[16] = "fifteen letters";
        char *base = *state;

        sigaction(SIGBUS, &ours, NULL);
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

static void a_page_that_cannot_be_read_gives_zeros_and_says_so(void **state)
{
        char *base = *state;

        sigaction(SIGBUS, &ours, NULL);
        memset(base, 'x', FILLED);
        assert_true(bm_mapped_intact(base, MAPPED));
        assert_int_equal(base[FILLED - 1], 'x');
        assert_int_equal(((volatile char *)base)[3 * FILLED + 5], 0);
        assert_true(bm_mapped_intact(base, 3 * FILLED));
        assert_false(bm_mapped_intact(base, 3 * FILLED + 1));
        assert_false(bm_mapped_intact(base + 4 * FILLED - 1, 1));
        assert_true(bm_mapped_intact(base + 4 * FILLED, MAPPED - 4 * FILLED));
        assert_true(bm_mapped_intact("elsewhere", 9));
        /* a store there is lost, and is told so */
        assert_int_equal(bm_io_call(io, map_write, -1, base, 3 * FILLED, "y", 1), -EIO);
        assert_int_equal(base[FILLED - 1], 'x');
}

/* The table takes many, and what is removed leaves nothing behind. */
static void mappings_come_and_go(void **state)
{
        enum { N = 1000 };
        static void *bases[N];
        for (int round = 0; round < 3; round++) {
                for (size_t i = 0; i < N; i++) {
                        bases[i] = mmap(NULL, 2 * FILLED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
                                        -1, 0);
                        assert_true(bases[i] != MAP_FAILED);
                        assert_int_equal(bm_mapped_add(bases[i], 2 * FILLED), 0);
                }
                assert_true(bm_mapped_replace((uintptr_t)bases[N / 2] + FILLED + 1));
                assert_false(bm_mapped_intact(bases[N / 2], FILLED + 1));
                assert_true(bm_mapped_intact(bases[N / 2 + 1], 2 * FILLED));
                for (size_t i = 0; i < N; i++) {
                        bm_mapped_remove(bases[(i + 300) % N]);
                        munmap(bases[(i + 300) % N], 2 * FILLED);
                        assert_false(bm_mapped_replace((uintptr_t)bases[(i + 300) % N]));
                }
        }
}

static _Atomic int n_before;

static void count_signal(int signal)
{
        n_before++;
}

static void what_is_not_ours_goes_to_who_was_there_before(void **state)
{
        sigaction(SIGBUS, &ours, NULL);
        n_before = 0;
        raise(SIGBUS);
        assert_int_equal(n_before, 1);
        assert_int_equal(((volatile char *)*state)[FILLED], 0);
        assert_int_equal(n_before, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_fault_elsewhere_ends_the_process),
                cmocka_unit_test_setup_teardown(a_fault_while_guarded_is_an_error, setup, teardown),
                cmocka_unit_test_setup_teardown(a_page_that_cannot_be_read_gives_zeros_and_says_so,
                                                setup, teardown),
                cmocka_unit_test(mappings_come_and_go),
                cmocka_unit_test_setup_teardown(what_is_not_ours_goes_to_who_was_there_before,
                                                setup, teardown),
        };
        static char page[FILLED];
        pid_t child = fork();

        if (child == 0)
                stray_store();
        if (child < 0 || waitpid(child, &stray_status, 0) != child)
                return 1;
        signal(SIGBUS, count_signal);
        if (bm_guard_mapping(page, FILLED) < 0 || sigaction(SIGBUS, NULL, &ours) < 0)
                return 1;
        bm_mapped_remove(page);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
