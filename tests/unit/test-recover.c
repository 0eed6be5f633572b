/* SPDX-License-Identifier: MIT */
/* Opening after a crash, and with damaged manifests or missing files. */
#include "store-fixture.h"

#include "base/compiler.h"
#include "checkpoint.h"

/* The manifest that was written last stands here. */
static off_t newest_place(const struct fixture *f)
{
        return (off_t)(f->store->manifests.newest.generation % 2 * BM_MANIFEST_ROOT);
}

static void what_was_done_is_there_after_a_kill(void **state)
{
        struct fixture *f = *state;
        put_text(f, "before", "1");
        assert_int_equal(bm_checkpoint(f->store), 0);
        put_text(f, "after", "2");
        remove_key(f, "before");
        fixture_kill(f);
        fixture_open(f);
        assert_false(f->store->clean_open);
        assert_gone(f, "before");
        assert_text(f, "after", "2");
        assert_sound(f);
}

/* However much was logged, swept and compacted before, and also right behind a crash. */
static void nothing_is_replayed_after_a_close(void **state)
{
        struct fixture *f = *state;
        struct bm_stats stats;
        for (int turn = 0; turn < 4; turn++) {
                for (int i = 0; i < 3000; i++) {
                        char key[16], value[300];
                        snprintf(key, sizeof(key), "%d", i % 700);
                        snprintf(value, sizeof(value), "%0*d", i % 290 + 1, i);
                        put_text(f, key, value);
                }
                if (turn == 1)
                        assert_int_equal(bm_compact(f->store), 0);
                if (turn == 2) {
                        fixture_kill(f);
                        fixture_open(f);
                        assert_int_equal(bm_stats(f->store, &stats), 0);
                        assert_true(stats.replayed_records > 0);
                }
                uint64_t tail = bm_log_tail(&f->store->log);
                fixture_close(f);
                fixture_open(f);
                assert_int_equal(bm_stats(f->store, &stats), 0);
                assert_true(stats.clean_open);
                assert_int_equal(stats.replayed_records, 0);
                assert_int_equal(stats.log_bytes, 0);
                /* nothing that was logged lies behind what the manifest covers */
                const struct bm_manifest *m = &f->store->manifests.newest;
                assert_true(m->covered >= tail);
                assert_int_equal(m->replay_from, m->covered);
                assert_int_equal(bm_log_tail(&f->store->log), m->covered);
                assert_sound(f);
        }
}

/* What is written over a manifest that counts is what stands there: it may come in part. */
static struct {
        int (*pwrite)(const struct bm_io *io, int fd, const void *buf, size_t len, uint64_t offset);
        bool seen, same;
} settled;

static int watch_settling(const struct bm_io *io, int fd, const void *buf, size_t len,
                          uint64_t offset)
{
        uint8_t there[BM_MANIFEST_ROOT];
        if (len == BM_MANIFEST_ROOT && !settled.seen) {
                assert_int_equal(pread(fd, there, len, (off_t)offset), len);
                settled.seen = true;
                settled.same = memcmp(there, buf, len) == 0;
        }
        return settled.pwrite(io, fd, buf, len, offset);
}

/* The older manifest says "closed in order", which is no longer so. */
static void a_clean_flag_of_before_is_not_believed(void **state)
{
        struct fixture *f = *state;
        put_text(f, "old", "1");
        fixture_close(f);
        fixture_open(f);
        assert_true(f->store->clean_open);
        put_text(f, "new", "2");
        off_t newest = newest_place(f);
        fixture_kill(f);
        fixture_damage(f, "manifest", newest + 100);
        settled.pwrite = f->io.ops.pwrite;
        f->io.ops.pwrite = watch_settling;
        fixture_open(f);
        f->io.ops.pwrite = settled.pwrite;
        assert_true(settled.seen && settled.same);
        assert_text(f, "old", "1");
        assert_text(f, "new", "2");
        put_text(f, "newer", "3");
        fixture_kill(f);
        fixture_open(f);
        assert_text(f, "new", "2");
        assert_text(f, "newer", "3");
}

static void the_older_manifest_serves_where_the_newest_is_damaged(void **state)
{
        struct fixture *f = *state;
        put_text(f, "a", "1");
        assert_int_equal(bm_checkpoint(f->store), 0);
        put_text(f, "b", "2");
        assert_int_equal(bm_checkpoint(f->store), 0);
        put_text(f, "c", "3");
        off_t newest = newest_place(f);
        fixture_kill(f);
        fixture_damage(f, "manifest", newest + 200);
        fixture_open(f);
        assert_text(f, "a", "1");
        assert_text(f, "b", "2");
        assert_text(f, "c", "3");
        assert_sound(f);
}

/* Name of a data segment that is neither the log's first nor its active one. */
static void sealed_segment(struct fixture *f, char name[32])
{
        struct bm_segment *active = atomic_load(&f->store->log.active);
        for (uint32_t id = 1; id < f->store->drives.highest_file_id; id++) {
                struct bm_segment *s = bm_drives_segment(&f->store->drives, id);
                if (s && s != active && s->base && atomic_load(&s->n_live) > 0 &&
                    atomic_load(&s->state) == BM_SEGMENT_SEALED) {
                        snprintf(name, 32, "segments/%08x", id);
                        return;
                }
        }
        fail_msg("no sealed segment");
}

/* A lost file is damage; the keys in it must not just go. */
static void a_missing_segment_is_damage(void **state)
{
        struct fixture *f = *state;
        struct bm_store *store;
        char value[4000], key[16], name[32], path[512];
        memset(value, 'v', sizeof(value));
        for (int i = 0; i < 300; i++) {
                snprintf(key, sizeof(key), "key%d", i);
                put(f, key, value, sizeof(value));
        }
        sealed_segment(f, name);
        fixture_close(f);
        snprintf(path, sizeof(path), "%s/%s", f->path, name);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(bm_open(f->path, &f->config, &store), BM_E_DAMAGED);
        assert_non_null(strstr(bm_last_problem(), "missing"));
}

/* What a kill left of a segment in the making is no use to anybody. */
static void unfinished_segments_are_removed(void **state)
{
        struct fixture *f = *state;
        static const char *const names[] = {"00000abc", "00000abd"};
        struct bm_store *store;
        char path[512];
        put_text(f, "a", "1");
        fixture_kill(f);
        for (unsigned i = 0; i < 2; i++) { /* one empty, one all zeros */
                snprintf(path, sizeof(path), "%s/segments/%s", f->path, names[i]);
                int fd = open(path, O_CREAT | O_WRONLY, 0600);
                assert_true(fd >= 0);
                assert_int_equal(ftruncate(fd, i * 300000), 0);
                close(fd);
        }
        f->config.read_only = true;
        assert_int_equal(bm_open(f->path, &f->config, &store), 0);
        assert_int_equal(bm_close(store), 0);
        assert_int_equal(access(path, F_OK), 0);
        f->config.read_only = false;
        fixture_open(f);
        for (unsigned i = 0; i < 2; i++) {
                snprintf(path, sizeof(path), "%s/segments/%s", f->path, names[i]);
                assert_int_equal(access(path, F_OK), -1);
        }
        assert_text(f, "a", "1");
}

/* Power may fail at any time after a checkpoint: it covers nothing that a
 * sync did not. */
static void a_checkpoint_covers_only_what_is_durable(void **state)
{
        struct fixture *f = *state;
        put_text(f, "a", "1");
        assert_int_equal(bm_sync(f->store), 0);
        assert_int_equal(bm_checkpoint(f->store), 0);
        const struct bm_manifest *m = &f->store->manifests.newest;
        assert_true(m->covered <= atomic_load(&f->store->syncer.durable));
        assert_true(m->replay_from <= m->covered);
        assert_int_equal(bm_checkpoint(f->store), 0);
        assert_true(m->covered <= atomic_load(&f->store->syncer.durable));
}

/* The same for the manifest of a clean close, seen by what is synced after
 * the last byte went to the log. */
static struct {
        const struct bm_store *store;
        uint64_t synced_tail;
} watched;

static int watch_sync(const struct bm_io *io, int fd)
{
        struct bm_segment *active = atomic_load(&watched.store->log.active);
        if (active && fd == active->fd)
                watched.synced_tail = bm_log_tail((struct bm_log *)&watched.store->log);
        return bm_io_call(&bm_io_posix, sync_data, fd);
}

static void a_clean_close_covers_only_what_is_durable(void **state)
{
        struct fixture *f = *state;
        put_text(f, "a", "1");
        f->io.ops.sync_data = watch_sync;
        watched.store = f->store;
        assert_int_equal(bm_sync(f->store), 0);
        assert_int_equal(bm_checkpoint_write(f->store, BM_CHECKPOINT_CLEAN), 0);
        assert_true(f->store->manifests.newest.clean);
        assert_true(f->store->manifests.newest.covered <= watched.synced_tail);
        f->io.ops.sync_data = fault_sync_data;
}

/* A frame without its last byte is not there, and nothing behind it is. */
static void a_torn_tail_is_cut(void **state)
{
        struct fixture *f = *state;
        put_text(f, "whole", "1");
        struct bm_segment *active = atomic_load(&f->store->log.active);
        const uint32_t file_id = active->header.file_id;
        struct bm_write_batch *batch;
        assert_int_equal(bm_write_batch_new(f->store, &batch), 0);
        assert_int_equal(bm_write_batch_insert(batch, f->root, "torn1", 5, "x", 1, 1), 0);
        assert_int_equal(bm_write_batch_insert(batch, f->root, "torn2", 5, "x", 1, 1), 0);
        assert_int_equal(bm_write_batch_commit(batch), 0);
        bm_write_batch_free(batch);
        uint64_t end = atomic_load(&active->used);
        put_text(f, "behind", "3");
        fixture_kill(f);
        fixture_damage_segment(f, file_id, end - 8);
        fixture_open(f);
        assert_text(f, "whole", "1");
        assert_gone(f, "torn1");
        assert_gone(f, "torn2");
        assert_gone(f, "behind");
        put_text(f, "torn1", "again");
        fixture_kill(f);
        fixture_open(f);
        assert_text(f, "torn1", "again");
        assert_gone(f, "behind");
        assert_sound(f);
}

/* What was durable must be there: its end is never taken for the log's. */
static void damage_below_the_durable_mark_is_damage(void **state)
{
        struct fixture *f = *state;
        struct bm_store *store;
        put_text(f, "a", "1");
        struct bm_segment *active = atomic_load(&f->store->log.active);
        const uint32_t file_id = active->header.file_id;
        uint64_t end = atomic_load(&active->used);
        put_text(f, "b", "2");
        assert_int_equal(bm_sync(f->store), 0);
        fixture_kill(f);
        fixture_damage_segment(f, file_id, end - 8);
        assert_int_equal(bm_open(f->path, &f->config, &store), BM_E_DAMAGED);
        assert_non_null(strstr(bm_last_problem(), "durable"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                test_in_store(what_was_done_is_there_after_a_kill),
                test_in_store(nothing_is_replayed_after_a_close),
                test_in_store(a_clean_flag_of_before_is_not_believed),
                test_in_store(the_older_manifest_serves_where_the_newest_is_damaged),
                test_in_store(a_missing_segment_is_damage),
                test_in_store(unfinished_segments_are_removed),
                test_in_store(a_checkpoint_covers_only_what_is_durable),
                test_in_store(a_clean_close_covers_only_what_is_durable),
                test_in_store(a_torn_tail_is_cut),
                test_in_store(damage_below_the_durable_mark_is_damage),
        };
        return cmocka_run_group_tests_name("recover", tests, NULL, NULL);
}
