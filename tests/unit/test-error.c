/* SPDX-License-Identifier: MIT */
/* bm_strerror and the per-thread problem text. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bucketmap.h"
#include "error.h"

static void every_outcome_has_words(void **state)
{
        for (int e = 0; e <= BM_E_OLDER_FORMAT; e++) {
                const char *text = bm_strerror(e);

                assert_non_null(text);
                assert_null(strstr(text, "unknown"));
                for (int other = 0; other < e; other++)
                        assert_string_not_equal(text, bm_strerror(other));
        }
}

static void system_errors(void **state)
{
        assert_string_equal(bm_strerror(-ENOSPC), "No space left on device");
        assert_string_equal(bm_strerror(-EIO), "Input/output error");
}

static void unknown_results(void **state)
{
        assert_string_equal(bm_strerror(4711), "unknown result 4711");
        assert_string_equal(bm_strerror(-99999), "unknown result -99999");
        assert_string_equal(bm_strerror(BM_E_OLDER_FORMAT + 1), "unknown result 18");
}

static void problem_text(void **state)
{
        char lots[4096];

        bm_problem_clear();
        assert_string_equal(bm_last_problem(), "");
        errno = ERANGE;
        bm_problem_set("drive %d (%s): %s", 1, "/mnt/b", "uuid differs");
        assert_int_equal(errno, ERANGE);
        assert_string_equal(bm_last_problem(), "drive 1 (/mnt/b): uuid differs");

        memset(lots, 'x', sizeof(lots) - 1);
        lots[sizeof(lots) - 1] = '\0';
        bm_problem_set("%s", lots);
        assert_int_equal(strlen(bm_last_problem()), 1023);
        bm_problem_clear();
        assert_string_equal(bm_last_problem(), "");
}

static void *other_thread(void *result)
{
        strcpy(result, bm_last_problem());
        bm_problem_set("of the other");
        return NULL;
}

static void problem_is_the_threads_own(void **state)
{
        char seen[1024] = "unset";
        pthread_t thread;

        bm_problem_set("of this one");
        assert_int_equal(pthread_create(&thread, NULL, other_thread, seen), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_string_equal(seen, "");
        assert_string_equal(bm_last_problem(), "of this one");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_outcome_has_words),
                cmocka_unit_test(system_errors),
                cmocka_unit_test(unknown_results),
                cmocka_unit_test(problem_text),
                cmocka_unit_test(problem_is_the_threads_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
