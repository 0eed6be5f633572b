/* SPDX-License-Identifier: MIT */
/* Pieces of chunks that are written by themselves, on every way that a value can go. */
#include <pthread.h>

#include "large-model.h"
#include "large_patch.h"
#include "patch.h"
#include "said.h"

enum { PIECE = BM_PATCH };

static uint64_t n_patches(const struct model *m)
{
        return bm_map_sums(m->f->store->patches).n_keys;
}

static uint64_t logged(const struct model *m)
{
        return atomic_load(&m->f->store->log.written);
}

static void follow(struct model *m)
{
        m->ref.map = m->f->root;
}

static void reopen_clean(struct model *m)
{
        fixture_close(m->f);
        fixture_open(m->f);
        follow(m);
}

static void reopen_killed(struct model *m)
{
        fixture_kill(m->f);
        fixture_open(m->f);
        follow(m);
}

/* From all records there are. */
static void reopen_without_manifests(struct model *m)
{
        fixture_kill(m->f);
        fixture_damage(m->f, "manifest", 100);
        fixture_damage(m->f, "manifest", BM_MANIFEST_ROOT + 100);
        fixture_open(m->f);
        follow(m);
}

static struct model *model_of_chunks(struct fixture *f, size_t size)
{
        struct model *m = model_new(f);
        write_some(m, 0, size);
        assert_int_equal(n_patches(m), 0);
        return m;
}

static uint64_t allocated(const struct model *m)
{
        struct bm_view view;
        assert_int_equal(bm_read_ref(&m->ref, &view), 0);
        const uint64_t n = view.allocated;
        bm_view_release(&view);
        return n;
}

static void a_piece_is_written_by_itself(void **state)
{
        struct model *m = model_of_chunks(*state, 4 * BM_CHUNK);
        uint64_t before = logged(m);
        write_some(m, BM_CHUNK + 3 * PIECE, PIECE);
        assert_in_range(logged(m) - before, PIECE, PIECE + 512);
        assert_int_equal(n_patches(m), 1);
        verify(m);
        /* the same again takes the place of it */
        write_some(m, BM_CHUNK + 3 * PIECE, PIECE);
        assert_int_equal(n_patches(m), 1);
        verify(m);
        assert_in_range(allocated(m), 4 * BM_CHUNK, 4 * BM_CHUNK + 512);
        verify_chunks(m);
        free(m);
}

static void parts_of_pieces(void **state)
{
        struct model *m = model_of_chunks(*state, 4 * BM_CHUNK);
        write_some(m, 10, 1);
        assert_int_equal(n_patches(m), 1);
        write_some(m, PIECE - 5, 10);
        assert_int_equal(n_patches(m), 2);
        write_some(m, 2 * PIECE - 1, 2 * PIECE);
        assert_int_equal(n_patches(m), 4);
        write_some(m, BM_CHUNK + 7 * PIECE + 100, PIECE - 100);
        write_some(m, 3 * BM_CHUNK - 3, 6); /* two chunks */
        assert_int_equal(n_patches(m), 7);
        verify(m);
        write_some(m, 12, 3);
        write_some(m, 0, PIECE);
        assert_int_equal(n_patches(m), 7);
        verify_chunks(m);
        free(m);
}

/* Every start and end of a read finds the right source. */
static void read_in_parts(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        for (unsigned i = 0; i < BM_CHUNK_PIECES; i += 2)
                write_some(m, BM_CHUNK + i * PIECE, PIECE);
        for (int i = 0; i < 3000; i++) {
                size_t at = random_below(m, m->size), len = random_below(m, 2 * BM_CHUNK), done;
                size_t there = at + len < m->size ? len : m->size - at;
                assert_int_equal(bm_read_at(&m->ref, at, m->back, len, &done), 0);
                assert_int_equal(done, there);
                assert_memory_equal(m->back, m->bytes + at, there);
        }
        free(m);
}

static void long_ones_are_written_as_a_chunk(void **state)
{
        struct model *m = model_of_chunks(*state, 2 * BM_CHUNK);
        write_some(m, 0, BM_PATCH_PIECES_MAX * PIECE);
        assert_int_equal(n_patches(m), BM_PATCH_PIECES_MAX);
        write_some(m, 100, BM_PATCH_PIECES_MAX * PIECE);
        assert_int_equal(n_patches(m), 0);
        write_some(m, 0, PIECE);
        write_some(m, 0, BM_CHUNK);
        assert_int_equal(n_patches(m), 0);
        verify_chunks(m);
        free(m);
}

static uint64_t live_bytes(const struct model *m)
{
        return bm_sum(m->f->store, BM_SUM_LIVE_BYTES);
}

/* When all of it stands in patches a chunk has no bytes of its own. */
static void a_chunk_in_pieces(void **state)
{
        struct model *m = model_of_chunks(*state, 2 * BM_CHUNK + 5000);
        const uint64_t before = live_bytes(m);
        uint64_t done;
        for (unsigned i = 0; i < BM_CHUNK_PIECES; i++)
                write_some(m, BM_CHUNK + (i * 3 % 8) * PIECE, PIECE);
        write_some(m, 2 * BM_CHUNK + 4500, 100);
        write_some(m, 2 * BM_CHUNK + 4000, 100);
        assert_int_equal(n_patches(m), BM_CHUNK_PIECES + 2);
        assert_in_range(live_bytes(m), before, before + 600);
        verify(m);
        write_some(m, BM_CHUNK + 50, PIECE);
        verify(m);
        reopen_killed(m);
        verify_chunks(m);
        assert_int_equal(bm_compact(m->f->store), 0);
        reopen_clean(m);
        verify_chunks(m);
        reopen_without_manifests(m);
        assert_int_equal(n_patches(m), BM_CHUNK_PIECES + 2);
        verify_chunks(m);
        write_some(m, m->size, 3000); /* the last one grows in pieces, */
        assert_int_equal(n_patches(m), BM_CHUNK_PIECES + 2);
        write_some(m, m->size, 5 * PIECE); /* or gets bytes again */
        assert_int_equal(n_patches(m), BM_CHUNK_PIECES);
        verify(m);
        set_size(m, BM_CHUNK + 2 * PIECE + 7);
        assert_int_equal(n_patches(m), 0);
        verify_chunks(m);
        for (unsigned i = 0; i < 3; i++)
                write_some(m, BM_CHUNK + i * PIECE, i < 2 ? PIECE : 7);
        assert_int_equal(n_patches(m), 3);
        assert_int_equal(bm_punch(&m->ref, BM_CHUNK + PIECE, 10, NULL, NULL), 0);
        memset(m->bytes + BM_CHUNK + PIECE, 0, 10);
        assert_int_equal(n_patches(m), 0);
        verify_chunks(m);
        for (unsigned i = 0; i < BM_CHUNK_PIECES; i++)
                write_some(m, i * PIECE, PIECE);
        assert_int_equal(bm_allocate(&m->ref, 100, 10, BM_ALLOCATE_ZERO, NULL, NULL, &done), 0);
        memset(m->bytes + 100, 0, 10);
        verify_chunks(m);
        for (unsigned i = 0; i < BM_CHUNK_PIECES; i++)
                write_some(m, i * PIECE, PIECE);
        set_size(m, 9000); /* inline again */
        verify_chunks(m);
        assert_int_equal(n_patches(m), 0);
        free(m);
}

static void the_last_chunk(void **state)
{
        struct model *m = model_of_chunks(*state, BM_CHUNK + PIECE + 100);
        write_some(m, BM_CHUNK + PIECE, 100); /* the short piece as a whole */
        write_some(m, BM_CHUNK + PIECE + 50, 10);
        assert_int_equal(n_patches(m), 1);
        verify(m);
        write_some(m, BM_CHUNK + 7, 10);
        assert_int_equal(n_patches(m), 2);
        verify(m);
        write_some(m, BM_CHUNK + PIECE + 90, 11); /* longer by a byte */
        assert_int_equal(n_patches(m), 2);
        verify(m);
        write_some(m, BM_CHUNK + PIECE + 100, 1);
        assert_int_equal(n_patches(m), 2);
        write_some(m, m->size, 5000);
        assert_int_equal(n_patches(m), 3);
        verify_chunks(m);
        write_some(m, m->size + 1, 10); /* a gap */
        assert_int_equal(n_patches(m), 0);
        verify_chunks(m);
        free(m);
}

/* What is written little by little is logged twice, however little it is, but for what a piece has
 * already; and stands in chunks at the end. */
static void grown_little_by_little(void **state)
{
        static const struct {
                size_t step, logged; /* thousandths of what was written */
        } of[] = {{PIECE, 2200}, {2 * PIECE, 2200}, {3000, 3200}, {512, 6500}, {100, 25000}};
        struct model *m = model_of_chunks(*state, 2 * BM_CHUNK);
        for (unsigned i = 0; i < bm_array_size(of); i++) {
                const uint64_t before = logged(m);
                while (m->size < 4 * BM_CHUNK) {
                        write_some(m, m->size, of[i].step);
                        if (random_below(m, 30) == 0)
                                verify(m);
                        assert_in_range(allocated(m), m->size, m->size + 512);
                }
                assert_true(n_patches(m) == 0 || m->size % BM_CHUNK);
                assert_true((logged(m) - before) * 1000 < of[i].logged * 2 * BM_CHUNK);
                verify_chunks(m);
                reopen_killed(m);
                verify(m);
                set_size(m, 3 * BM_CHUNK + 2 * PIECE + 17); /* within a chunk */
                write_some(m, m->size, 10);
                verify(m);
                reopen_without_manifests(m);
                verify_chunks(m);
                set_size(m, 2 * BM_CHUNK);
        }
        free(m);
}

/* Some pieces have patches already, and they stay. */
static void grown_with_patches(void **state)
{
        struct model *m = model_of_chunks(*state, BM_CHUNK + 4 * PIECE);
        write_some(m, BM_CHUNK + PIECE, PIECE);
        write_some(m, BM_CHUNK + 3 * PIECE + 5, 10);
        assert_int_equal(n_patches(m), 2);
        const uint64_t before = logged(m);
        write_some(m, m->size, 3 * PIECE);
        assert_in_range(logged(m) - before, 5 * PIECE, 5 * PIECE + 1000);
        assert_int_equal(n_patches(m), 7);
        verify_chunks(m);
        reopen_killed(m);
        verify_chunks(m);
        assert_int_equal(bm_compact(m->f->store), 0);
        verify_chunks(m);
        write_some(m, m->size - 10, PIECE + 10); /* all there is of a chunk */
        assert_int_equal(n_patches(m), 0);
        verify_chunks(m);
        write_some(m, m->size, 3 * PIECE);
        write_some(m, m->size, 3 * PIECE + 1); /* more than it had, but not in pieces */
        assert_int_equal(n_patches(m), 0);
        verify_chunks(m);
        free(m);
}

static void cut_and_grown_again(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        write_some(m, BM_CHUNK + PIECE, PIECE);
        write_some(m, BM_CHUNK + 3 * PIECE, PIECE);
        write_some(m, 2 * BM_CHUNK, PIECE);
        set_size(m, BM_CHUNK + PIECE + 1000);
        verify(m);
        /* those of the chunk that was cut off wait for the sweeper with it */
        assert_int_equal(n_patches(m), 1);
        set_size(m, 3 * BM_CHUNK);
        verify(m);
        write_some(m, 2 * BM_CHUNK + PIECE, 10);
        assert_int_equal(n_patches(m), 0);
        verify_chunks(m);
        write_some(m, 2 * BM_CHUNK, 1);
        assert_int_equal(n_patches(m), 1);
        set_size(m, BM_CHUNK);
        verify_chunks(m);
        assert_int_equal(n_patches(m), 0);
        write_some(m, 5, 5);
        set_size(m, 100); /* inline again */
        verify_chunks(m);
        assert_int_equal(n_patches(m), 0);
        free(m);
}

static void punched_and_allocated(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        uint64_t done;
        for (unsigned i = 0; i < 3; i++)
                write_some(m, i * BM_CHUNK + PIECE, PIECE);
        assert_int_equal(n_patches(m), 3);
        /* all but parts of the first and the last, both of which have one */
        assert_int_equal(bm_punch(&m->ref, PIECE + 50, 2 * BM_CHUNK + 100, NULL, NULL), 0);
        memset(m->bytes + PIECE + 50, 0, 2 * BM_CHUNK + 100);
        assert_int_equal(n_patches(m), 0);
        verify_chunks(m);
        write_some(m, 2 * BM_CHUNK + PIECE, PIECE);
        assert_int_equal(bm_allocate(&m->ref, 2 * BM_CHUNK + PIECE + 5, 10, BM_ALLOCATE_ZERO, NULL,
                                     NULL, &done),
                         0);
        memset(m->bytes + 2 * BM_CHUNK + PIECE + 5, 0, 10);
        assert_int_equal(n_patches(m), 0);
        write_some(m, 2 * BM_CHUNK + PIECE, PIECE);
        assert_int_equal(bm_punch(&m->ref, 0, 3 * BM_CHUNK, NULL, NULL), 0);
        memset(m->bytes, 0, m->size);
        assert_int_equal(n_patches(m), 0);
        verify_chunks(m);
        free(m);
}

static void written_into_what_was_allocated(void **state)
{
        struct model *m = model_of_chunks(*state, BM_CHUNK + 10);
        uint64_t done;
        m->reach = 3 * BM_CHUNK;
        assert_int_equal(
                bm_allocate(&m->ref, 0, m->reach, BM_ALLOCATE_KEEP_SIZE, NULL, NULL, &done), 0);
        write_some(m, 2 * BM_CHUNK + 5, PIECE);
        assert_int_equal(n_patches(m), 2);
        verify_chunks(m);
        free(m);
}

static void removed(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        for (unsigned i = 0; i < 5; i++)
                write_some(m, i * PIECE, 100);
        remove_key(m->f, "k");
        assert_int_equal(bm_large_sweep(m->f->store, NULL), 0);
        assert_int_equal(n_patches(m), 0);
        assert_int_equal(bm_map_sums(m->f->store->chunks).n_keys, 0);
        assert_sound(m->f);
        free(m);
}

static void of_an_orphan(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        struct bm_view view;
        uint8_t key[8];
        write_some(m, BM_CHUNK, PIECE);
        assert_int_equal(bm_read_ref(&m->ref, &view), 0);
        const uint64_t id = view.record_id;
        bm_view_release(&view);
        const struct bm_remove_args args = {.orphan = true};
        assert_int_equal(bm_remove(&m->ref, &args), 0);
        bm_orphan_ref(m->f->store, id, key, &m->ref);
        write_some(m, 10, 10);
        write_some(m, BM_CHUNK + 5, 10);
        assert_int_equal(n_patches(m), 2);
        assert_int_equal(bm_large_sweep(m->f->store, NULL), 0);
        verify(m);
        assert_int_equal(bm_orphan_release(m->f->store, id), 0);
        assert_int_equal(bm_large_sweep(m->f->store, NULL), 0);
        assert_int_equal(n_patches(m), 0);
        assert_sound(m->f);
        free(m);
}

static void reopened(void **state)
{
        struct model *m = model_of_chunks(*state, 4 * BM_CHUNK);
        write_some(m, PIECE, PIECE);
        reopen_killed(m);
        verify_chunks(m);
        reopen_clean(m);
        verify_chunks(m);
        write_some(m, BM_CHUNK + 7, 7);
        assert_int_equal(bm_checkpoint(m->f->store), 0);
        write_some(m, BM_CHUNK + PIECE, 7);
        write_some(m, 0, BM_CHUNK); /* deletes one that the checkpoint has */
        assert_int_equal(n_patches(m), 2);
        reopen_killed(m);
        assert_int_equal(n_patches(m), 2);
        verify_chunks(m);
        reopen_without_manifests(m);
        assert_int_equal(n_patches(m), 2);
        verify_chunks(m);
        free(m);
}

/* What stands in cold segments alone is found by a rebuild, and nothing that was deleted. */
static void compacted(void **state)
{
        struct model *m = model_of_chunks(*state, 4 * BM_CHUNK);
        for (unsigned i = 0; i < 4; i++)
                write_some(m, i * BM_CHUNK + i * PIECE, PIECE);
        for (int round = 0; round < 3; round++) {
                write_some(m, 2 * BM_CHUNK, 2 * BM_CHUNK);
                write_some(m, PIECE * 5 + 1, 10);
                write_some(m, 3 * BM_CHUNK + 1, 10);
                assert_int_equal(bm_compact(m->f->store), 0);
                verify_chunks(m);
                reopen_killed(m);
                verify_chunks(m);
                reopen_without_manifests(m);
                assert_int_equal(n_patches(m), 4);
                verify_chunks(m);
        }
        free(m);
}

/* One step of whatever there is; pieces are written most. */
static void step_at_random(struct model *m)
{
        size_t at = random_below(m, 4 * BM_CHUNK), len = 1 + random_below(m, 6000);
        uint64_t done;
        switch (random_below(m, 12)) {
        case 0:
                set_size(m, random_below(m, 4 * BM_CHUNK));
                break;
        case 1:
                len = random_below(m, 3) ? len : random_below(m, 2 * BM_CHUNK) + 1;
                if (at < m->size)
                        memset(m->bytes + at, 0, at + len > m->size ? m->size - at : len);
                assert_int_equal(bm_punch(&m->ref, at, len, NULL, NULL), 0);
                break;
        case 2:
                if (at + len > m->size)
                        break;
                assert_int_equal(bm_allocate(&m->ref, at, len, BM_ALLOCATE_ZERO, NULL, NULL, &done),
                                 0);
                memset(m->bytes + at, 0, len);
                break;
        case 3:
                write_some(m, at, 1 + random_below(m, 2 * BM_CHUNK));
                break;
        case 4:
        case 5:
        case 6:
                if (m->size < 4 * BM_CHUNK)
                        write_some(m, m->size > 0 ? m->size - random_below(m, 2) : 0, len);
                break;
        default:
                at = random_below(m, m->size + 1);
                if (random_below(m, 2))
                        at = at / PIECE * PIECE;
                write_some(m, at, random_below(m, 2) ? len : PIECE);
        }
}

static void at_random(void **state)
{
        struct model *m = model_new(*state);
        uint64_t seen = 0;
        for (int i = 0; i < 1500; i++) {
                step_at_random(m);
                seen += n_patches(m) > 0;
                verify(m);
                switch (random_below(m, 50)) {
                case 0:
                        assert_int_equal(bm_compact(m->f->store), 0);
                        break;
                case 1:
                        assert_int_equal(bm_checkpoint(m->f->store), 0);
                        break;
                case 2:
                        reopen_killed(m);
                        verify_chunks(m);
                        break;
                case 3:
                        reopen_without_manifests(m);
                        verify_chunks(m);
                        break;
                case 4:
                        verify_chunks(m);
                        break;
                }
        }
        assert_true(seen > 700);
        verify_chunks(m);
        free(m);
}

/* Readers, and checks, beside a writer */

struct beside {
        struct model *m;
        _Atomic bool stop;
        _Atomic unsigned long n_reads;
};

/* Every piece is what one write made of it. */
static void *read_pieces(void *arg)
{
        static _Thread_local uint8_t bytes[2 * BM_CHUNK];
        struct beside *b = arg;
        size_t done;
        for (unsigned i = 0; !atomic_load(&b->stop); i++) {
                const size_t at = i % 8 * PIECE, len = sizeof(bytes) - i % 16 * PIECE;
                assert_int_equal(bm_read_at(&b->m->ref, at, bytes, len, &done), 0);
                for (size_t p = 0; p < done; p += PIECE) {
                        for (size_t k = 1; k < PIECE; k++)
                                assert_int_equal(bytes[p], bytes[p + k]);
                }
                atomic_fetch_add(&b->n_reads, 1);
        }
        return NULL;
}

static void *check_meanwhile(void *arg)
{
        struct beside *b = arg;
        while (!atomic_load(&b->stop)) {
                assert_sound(b->m->f);
                assert_int_equal(bm_large_sweep(b->m->f->store, NULL), 0);
                assert_int_equal(bm_compact(b->m->f->store), 0);
                assert_int_equal(bm_checkpoint(b->m->f->store), 0);
        }
        return NULL;
}

static void read_while_written(void **state)
{
        struct model *m = model_of_chunks(*state, 4 * BM_CHUNK);
        struct beside b = {.m = m};
        uint8_t bytes[6 * PIECE];
        pthread_t threads[3];
        size_t done;
        assert_int_equal(bm_punch(&m->ref, 0, 4 * BM_CHUNK, NULL, NULL), 0);
        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(pthread_create(&threads[i], NULL,
                                                i == 0 ? check_meanwhile : read_pieces, &b),
                                 0);
        for (unsigned i = 0; i < 6000 || atomic_load(&b.n_reads) < 200; i++) {
                const size_t n = random_below(m, 12) ? 1 : 1 + random_below(m, 6);
                const size_t at = random_below(m, 4 * BM_CHUNK_PIECES - n) * PIECE;
                memset(bytes, (int)i, n * PIECE);
                assert_int_equal(bm_write_at(&m->ref, at, bytes, n * PIECE, NULL, NULL, &done), 0);
                if (i % 100 == 0)
                        assert_int_equal(bm_truncate(&m->ref, BM_CHUNK * 2, NULL, NULL), 0);
                if (i % 100 == 0)
                        assert_int_equal(bm_truncate(&m->ref, BM_CHUNK * 4, NULL, NULL), 0);
        }
        atomic_store(&b.stop, true);
        for (unsigned i = 0; i < 3; i++)
                pthread_join(threads[i], NULL);
        assert_sound(m->f);
        free(m);
}

/* Damage */

static void check(struct model *m, struct said *said, int expected)
{
        const struct bm_check_args args = {.finding = on_finding, .ctx = said};
        *said = (struct said){.n = 0};
        assert_int_equal(bm_check(m->f->store, &args), expected);
}

static void find_in(struct bm_map *map, uint64_t data_id, uint64_t number, struct bm_target *t,
                    struct bm_found *found, uint8_t key[BM_CHUNK_KEY])
{
        bm_chunk_key(data_id, number, key);
        assert_int_equal(bm_target_init(t, map, key, BM_CHUNK_KEY), 0);
        assert_int_equal(bm_target_find(t, found), 0);
        assert_true(found->there);
}

/* A byte of the value of what stands there is another. The store is closed. */
static void spoil(struct model *m, struct bm_map *map, uint64_t number)
{
        struct bm_target t;
        struct bm_found found;
        uint8_t key[BM_CHUNK_KEY];
        find_in(map, 1, number, &t, &found, key);
        const uint32_t file_id = found.segment->header.file_id;
        const uint64_t at = (uint64_t)(found.record.value - found.segment->base) + 10;
        fixture_close(m->f);
        fixture_damage_segment(m->f, file_id, at);
}

static int repair(struct model *m, struct said *said)
{
        const struct bm_repair_args args = {.finding = on_finding, .ctx = said};
        *said = (struct said){.n = 0};
        return bm_repair(m->f->path, &m->f->config, &args);
}

static void expect_eio(struct model *m, size_t at)
{
        size_t done;
        uint8_t byte;
        assert_int_equal(bm_read_at(&m->ref, at, &byte, 1, &done), -EIO);
}

static void expect_byte(struct model *m, size_t at)
{
        size_t done;
        uint8_t byte;
        assert_int_equal(bm_read_at(&m->ref, at, &byte, 1, &done), 0);
        assert_int_equal(byte, m->bytes[at]);
}

/* What was whole of the value is in lost+found, and zeros are where it was not. */
static void verify_lost(struct model *m)
{
        struct bm_map *lost;
        struct bm_view view;
        char name[32];
        assert_gone(m->f, "k");
        assert_int_equal(bm_read_value(m->f->root, "lost+found", 10, &view), 0);
        assert_int_equal(bm_map_open(m->f->store, view.map_id, &lost), 0);
        bm_view_release(&view);
        struct bm_cursor *cursor;
        struct bm_item item;
        assert_int_equal(bm_cursor_open(lost, 0, &cursor), 0);
        assert_int_equal(bm_cursor_next(cursor, &item), 0);
        assert_true(item.key_len < sizeof(name));
        memcpy(name, item.key, item.key_len);
        m->ref = (struct bm_ref){.map = lost, .key = name, .key_len = item.key_len};
        bm_cursor_close(cursor);
        verify(m);
        write_some(m, 2 * PIECE + 1, 10);
        verify(m);
        bm_map_close(lost);
}

static void a_damaged_patch_is_an_error(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        struct said said;
        size_t done;
        write_some(m, BM_CHUNK + 2 * PIECE, PIECE);
        spoil(m, m->f->store->patches, BM_CHUNK_PIECES + 2);
        fixture_open(m->f);
        follow(m);
        expect_eio(m, BM_CHUNK + 2 * PIECE + 7);
        expect_byte(m, BM_CHUNK + 3 * PIECE);
        assert_int_equal(bm_write_at(&m->ref, BM_CHUNK + 2 * PIECE, "x", 1, NULL, NULL, &done),
                         -EIO);
        assert_int_equal(bm_write_at(&m->ref, BM_CHUNK, m->bytes, BM_CHUNK - 1, NULL, NULL, &done),
                         -EIO);
        check(m, &said, BM_E_DAMAGED);
        assert_int_equal(said.n, 1);
        assert_true(says(&said, "k: bytes 40960 to 45055 are lost"));
        fixture_close(m->f);
        assert_int_equal(repair(m, &said), BM_E_DAMAGED);
        assert_true(says(&said, "k: 4096 bytes are lost, from byte 40960 to 45055"));
        fixture_open(m->f);
        memset(m->bytes + BM_CHUNK + 2 * PIECE, 0, PIECE);
        assert_sound(m->f);
        verify_lost(m);
        assert_sound(m->f);
        fixture_close(m->f);
        assert_int_equal(repair(m, &said), 0);
        fixture_open(m->f);
        free(m);
}

/* The patches of a damaged chunk can be read; a repair takes them for lost with it. */
static void a_damaged_chunk_under_patches(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        struct said said;
        write_some(m, BM_CHUNK + 2 * PIECE, PIECE);
        spoil(m, m->f->store->chunks, 1);
        fixture_open(m->f);
        follow(m);
        expect_byte(m, BM_CHUNK + 2 * PIECE + 7);
        expect_eio(m, BM_CHUNK);
        write_some(m, BM_CHUNK + 4 * PIECE, PIECE); /* needs nothing of it */
        expect_byte(m, BM_CHUNK + 4 * PIECE + 7);
        check(m, &said, BM_E_DAMAGED);
        assert_int_equal(said.n, 1);
        assert_true(says(&said, "k: bytes 32768 to 65535 are lost"));
        fixture_close(m->f);
        assert_int_equal(repair(m, &said), BM_E_DAMAGED);
        assert_true(says(&said, "k: 32768 bytes are lost, from byte 32768 to 65535"));
        fixture_open(m->f);
        memset(m->bytes + BM_CHUNK, 0, BM_CHUNK);
        assert_sound(m->f);
        verify_lost(m);
        assert_sound(m->f);
        free(m);
}

/* No bytes are left that could be taken for those of the lost piece. */
static void a_damaged_patch_of_a_hollow_chunk(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        struct said said;
        for (unsigned i = 0; i < BM_CHUNK_PIECES; i++)
                write_some(m, BM_CHUNK + i * PIECE, PIECE);
        spoil(m, m->f->store->patches, BM_CHUNK_PIECES + 2);
        fixture_open(m->f);
        follow(m);
        expect_eio(m, BM_CHUNK + 2 * PIECE + 7);
        expect_byte(m, BM_CHUNK + 3 * PIECE);
        check(m, &said, BM_E_DAMAGED);
        assert_int_equal(said.n, 1);
        fixture_close(m->f);
        assert_int_equal(repair(m, &said), BM_E_DAMAGED);
        assert_true(says(&said, "k: 4096 bytes are lost, from byte 40960 to 45055"));
        fixture_open(m->f);
        memset(m->bytes + BM_CHUNK + 2 * PIECE, 0, PIECE);
        assert_sound(m->f);
        verify_lost(m);
        assert_sound(m->f);
        free(m);
}

/* A value that is gone lets go of all it has, damaged or not. */
static void damaged_and_swept(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        write_some(m, BM_CHUNK + 2 * PIECE, PIECE);
        spoil(m, m->f->store->patches, BM_CHUNK_PIECES + 2);
        fixture_open(m->f);
        remove_key(m->f, "k");
        assert_int_equal(bm_large_sweep(m->f->store, NULL), 0);
        assert_int_equal(n_patches(m), 0);
        assert_int_equal(bm_map_sums(m->f->store->chunks).n_keys, 0);
        free(m);
}

/* The bit without the patch, and the patch without the bit, as no writer leaves them. */
static void a_bit_too_many_and_one_too_few(void **state)
{
        struct model *m = model_of_chunks(*state, 3 * BM_CHUNK);
        struct bm_target t;
        struct bm_found found;
        struct said said;
        uint8_t key[BM_CHUNK_KEY];
        write_some(m, BM_CHUNK, PIECE);
        find_in(m->f->store->chunks, 1, 1, &t, &found, key);
        struct bm_slot slot = found.slot;
        assert_int_equal(slot.count, 1);
        slot.count = 2;
        bm_index_set(&t.bucket->index, &found.place, &slot);
        expect_eio(m, BM_CHUNK + PIECE);
        size_t done;
        assert_int_equal(bm_write_at(&m->ref, BM_CHUNK + PIECE, "x", 1, NULL, NULL, &done), -EIO);
        assert_int_equal(bm_write_at(&m->ref, BM_CHUNK, "x", 1, NULL, NULL, &done), -EIO);
        check(m, &said, BM_E_DAMAGED);
        assert_int_equal(said.n, 3); /* the chunk's of both, and the patch's of one */
        assert_true(
                says(&said, "chunk 1 of data id 1 does not agree with the patch of its piece 0"));
        assert_true(
                says(&said, "chunk 1 of data id 1 does not agree with the patch of its piece 1"));
        fixture_close(m->f);
        assert_int_equal(repair(m, &said), BM_E_DAMAGED);
        assert_true(says(&said, "a part of a large value is lost, and reads as zeros"));
        fixture_open(m->f);
        assert_sound(m->f);
        assert_int_equal(n_patches(m), 1);
        free(m);
}

/* Two lists of what has a slot: for segments count what they hold by the one. */
static void what_puts_has_a_slot(void **state)
{
        for (uint8_t type = 0; type < 16; type++)
                assert_int_equal(bm_record_puts(type), bm_record_slot_kind(type) != BM_SLOT_EMPTY);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_puts_has_a_slot),
                test_in_store(a_piece_is_written_by_itself),
                test_in_store(parts_of_pieces),
                test_in_store(read_in_parts),
                test_in_store(long_ones_are_written_as_a_chunk),
                test_in_store(a_chunk_in_pieces),
                test_in_store(a_damaged_patch_of_a_hollow_chunk),
                test_in_store(the_last_chunk),
                test_in_store(grown_little_by_little),
                test_in_store(grown_with_patches),
                test_in_store(cut_and_grown_again),
                test_in_store(punched_and_allocated),
                test_in_store(written_into_what_was_allocated),
                test_in_store(removed),
                test_in_store(of_an_orphan),
                test_in_store(reopened),
                test_in_store(compacted),
                test_in_store(at_random),
                test_in_store(read_while_written),
                test_in_store(a_damaged_patch_is_an_error),
                test_in_store(a_damaged_chunk_under_patches),
                test_in_store(damaged_and_swept),
                test_in_store(a_bit_too_many_and_one_too_few),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
