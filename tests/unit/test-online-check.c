/* SPDX-License-Identifier: MIT */
/* fs/online_check: one check at a time, and what becomes of one that was given up. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "online_check.h"

static _Atomic bool next_is_asked_for;
static _Atomic unsigned n_running;

static const struct timespec moment = {.tv_nsec = 1000000};

/* Runs until it is given up, and takes its time then. */
static int check_until_stopped(void *ctx, const struct bm_check_args *args)
{
        int result;

        assert_int_equal(atomic_fetch_add(&n_running, 1), 0);
        do {
                nanosleep(&moment, NULL);
                result = args->progress(args->ctx, 1, 2);
        } while (!result);
        while (!next_is_asked_for)
                nanosleep(&moment, NULL);
        nanosleep(&moment, NULL);
        atomic_fetch_sub(&n_running, 1);
        return result;
}

static const struct backend backend = {.check = check_until_stopped};

static void test_one_at_a_time(void **state)
{
        struct fs_checker *checker;
        uint64_t id;

        next_is_asked_for = true;
        assert_int_equal(fs_checker_new(&backend, &checker), 0);
        assert_int_equal(fs_checker_start(checker, &id), 0);
        assert_int_equal(fs_checker_start(checker, &id), -EBUSY);
        fs_checker_free(checker);
        assert_int_equal(n_running, 0);
}

static void test_after_one_given_up(void **state)
{
        struct fs_ioc_check *page = calloc(1, sizeof(*page));
        struct fs_checker *checker;
        int result;
        uint64_t first, second;

        assert_non_null(page);
        next_is_asked_for = false;
        assert_int_equal(fs_checker_new(&backend, &checker), 0);
        assert_int_equal(fs_checker_start(checker, &first), 0);
        assert_int_equal(fs_checker_cancel(checker, first), 0);
        /* it was not noticed yet */
        assert_int_equal(fs_checker_start(checker, &second), -EAGAIN);
        next_is_asked_for = true;
        do {
                result = fs_checker_start(checker, &second);
                nanosleep(&moment, NULL);
        } while (result == -EAGAIN);
        assert_int_equal(result, 0);
        assert_int_not_equal(first, second);
        page->id = first;
        assert_int_equal(fs_checker_poll(checker, page), -ESRCH);
        assert_int_equal(fs_checker_cancel(checker, first), -ESRCH);
        page->id = second;
        assert_int_equal(fs_checker_poll(checker, page), 0);
        assert_false(page->finished);
        fs_checker_free(checker);
        free(page);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_one_at_a_time),
                cmocka_unit_test(test_after_one_given_up),
        };

        return cmocka_run_group_tests_name("online-check", tests, NULL, NULL);
}
