/* SPDX-License-Identifier: MIT */
/*
 * A segment is filled and sealed at the very moment in which a flush is through with it: the linker
 * puts the test before the closing of its file, which the next flush wants to sync.
 */
#include "store-fixture.h"

static struct fixture *filling;

__typeof__(bm_segment_close_file) __real_bm_segment_close_file, __wrap_bm_segment_close_file;

/* Until the log goes on in another segment. */
static void fill_segment(struct fixture *f)
{
        static const uint8_t value[16000];
        const struct bm_segment *s = atomic_load(&f->store->log.active);

        for (unsigned i = 0; atomic_load(&f->store->log.active) == s; i++) {
                char key[16];

                snprintf(key, sizeof(key), "key%u", i);
                put(f, key, value, sizeof(value));
        }
}

void __wrap_bm_segment_close_file(struct bm_segment *s)
{
        struct fixture *f = filling;

        filling = NULL;
        if (f)
                fill_segment(f);
        __real_bm_segment_close_file(s);
}

static void what_is_sealed_behind_a_flush_is_synced_by_the_next(void **state)
{
        struct fixture *f = *state;

        put_text(f, "a", "1");
        filling = f;
        assert_int_equal(bm_sync(f->store), 0);
        filling = NULL;
        fill_segment(f);
        assert_int_equal(bm_sync(f->store), 0);
        put_text(f, "b", "2");
        assert_int_equal(bm_sync(f->store), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(what_is_sealed_behind_a_flush_is_synced_by_the_next),
        };

        return cmocka_run_group_tests_name("sync-race", tests, NULL, NULL);
}
