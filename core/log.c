/* SPDX-License-Identifier: MIT */
/* See log.h. */
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { SCRATCH = 2048 }; /* frames up to this are put together on the stack */

/*
 * A store into a large page that is clean makes all of it dirty, so that the next sync writes
 * 64 KiB, or 2 MiB; a call makes only those blocks dirty that it hits. That is nothing to who syncs
 * after many of them, and a lot to who does after each few records: for those new segments get no
 * huge pages, and what follows a sync is written by calls, which take longer than stores.
 */
enum {
        SPAN_START = 64 << 20,
        SPAN_SMALL_PAGES = 1 << 20, /* of syncs for which a segment gets no huge pages */
        SPAN_CALLS = 16 << 10,      /* for which bytes go by calls, */
        SPAN_CALLS_HUGE = 64 << 10, /* and in a segment with huge pages */
};

void bm_log_init(struct bm_log *log, struct bm_drives *drives)
{
        *log = (struct bm_log){.drives = drives, .sync_span = SPAN_START};
        pthread_mutex_init(&log->prepare_lock, NULL);
        /* held for a tenth of a microsecond, less than going to sleep takes */
        pthread_mutexattr_t attr;
        pthread_mutexattr_init(&attr);
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
        pthread_mutex_init(&log->append_lock, &attr);
        pthread_mutexattr_destroy(&attr);
}

void bm_log_deinit(struct bm_log *log)
{
        free(log->unsynced);
        pthread_mutex_destroy(&log->append_lock);
        pthread_mutex_destroy(&log->prepare_lock);
}

static void set_active(struct bm_log *log, struct bm_segment *segment, uint64_t used)
{
        atomic_store_explicit(&segment->state, BM_SEGMENT_OPEN, memory_order_relaxed);
        atomic_store_explicit(&segment->lowest_version, bm_pos(segment->header.number, 0),
                              memory_order_relaxed);
        atomic_store_explicit(&segment->used, used, memory_order_release);
        atomic_store_explicit(&log->active, segment, memory_order_release);
        atomic_store_explicit(&log->tail, bm_pos(segment->header.number, used),
                              memory_order_release);
}

int bm_log_start(struct bm_log *log, struct bm_segment *segment, uint64_t used)
{
        pthread_mutex_lock(&log->append_lock);
        set_active(log, segment, used);
        if (bm_segment_is_mapped(segment))
                segment->filled = used; /* what is behind it is nothing */
        pthread_mutex_unlock(&log->append_lock);
        return 0;
}

void bm_log_note_sync(struct bm_log *log)
{
        uint64_t written = atomic_load_explicit(&log->written, memory_order_relaxed);
        uint64_t before = atomic_exchange_explicit(&log->asked_at, written, memory_order_relaxed);
        uint64_t span = atomic_load_explicit(&log->sync_span, memory_order_relaxed);
        /* two that ask at once lose one step of a mean */
        span = span - span / 8 + (written > before ? (written - before) / 8 : 0);
        atomic_store_explicit(&log->sync_span, span, memory_order_relaxed);
        atomic_store_explicit(&log->drives->small_pages, span < SPAN_SMALL_PAGES,
                              memory_order_relaxed);
}

/* Locked. Whether what is appended at USED is soon synced, and little more with it. */
static bool goes_by_call(struct bm_log *log, struct bm_segment *s, uint64_t used)
{
        const uint64_t few = s->access == BM_SEGMENT_HUGE ? SPAN_CALLS_HUGE : SPAN_CALLS;
        return bm_segment_is_mapped(s) &&
               atomic_load_explicit(&log->sync_span, memory_order_relaxed) < few &&
               used - atomic_load_explicit(&s->synced, memory_order_relaxed) < few;
}

/* Locked. Copies LEN encoded bytes to the active segment's end. */
static int copy_in(struct bm_log *log, struct bm_segment *s, const uint8_t *bytes, uint32_t len,
                   size_t n_records)
{
        uint64_t used = atomic_load_explicit(&s->used, memory_order_relaxed);
        int r = (goes_by_call(log, s, used) ? bm_segment_write_call : bm_segment_write)(s, used,
                                                                                        bytes, len);
        if (r < 0)
                return r == -ENOSPC || r == -EDQUOT ? BM_E_DISK_FULL : r;
        bm_figure_add(&log->written, len);
        bm_figure_add(&log->n_records, n_records);
        atomic_store_explicit(&s->used, used + len, memory_order_release);
        atomic_store_explicit(&log->tail, bm_pos(s->header.number, used + len),
                              memory_order_release);
        return 0;
}

uint32_t bm_log_seal(const struct bm_segment *s, uint64_t offset, const struct bm_segment *next,
                     uint8_t out[BM_SEAL_ROOM])
{
        const struct bm_seal names = {
                .next_number = next->header.number,
                .next_salt = next->header.salt,
                .next_file_id = next->header.file_id,
        };
        uint8_t value[BM_SEAL_BYTES];
        bm_seal_encode(&names, value);
        struct bm_record seal = {.type = BM_REC_SEAL, .value = value, .value_len = sizeof(value)};
        uint32_t len = bm_record_measure(&seal, s->header.base_time);
        assert(len <= BM_SEAL_ROOM);
        bm_record_encode(&seal, s->header.base_time, out);
        bm_record_seal(out, seal.checked, s->header.salt, offset);
        return len;
}

/* Locked. Ends the active segment and goes on in the prepared one. */
static int install_next(struct bm_log *log)
{
        struct bm_segment *s = atomic_load_explicit(&log->active, memory_order_relaxed);
        struct bm_segment *next = atomic_load_explicit(&log->next, memory_order_acquire);
        uint8_t bytes[BM_SEAL_ROOM];
        int r = bm_log_reserve_unsynced(log);
        if (r < 0)
                return r;
        r = copy_in(log, s, bytes, bm_log_seal(s, atomic_load(&s->used), next, bytes), 1);
        if (r != 0)
                return r;
        atomic_store_explicit(&s->state, BM_SEGMENT_SEALED, memory_order_release);
        log->unsynced[log->n_unsynced++] = s;
        atomic_store_explicit(&log->next, NULL, memory_order_release);
        set_active(log, next, BM_SEGMENT_HEADER);
        if (log->sealed)
                log->sealed(log->sealed_ctx);
        return 0;
}

/* Lengths and flags of a frame, and its length in all. */
static int measure(struct bm_record *records, size_t n, int64_t base_time, uint32_t *total)
{
        uint64_t sum = 0;
        for (size_t i = 0; i < n; i++) {
                records[i].more = i + 1 < n;
                uint32_t len = bm_record_measure(&records[i], base_time);
                sum += len;
                if (len == 0 || sum > BM_FRAME_MAX)
                        return -EFBIG;
        }
        *total = (uint32_t)sum;
        return 0;
}

static void encode(const struct bm_record *records, size_t n, int64_t base_time, uint8_t *out)
{
        for (size_t i = 0; i < n; i++) {
                bm_record_encode(&records[i], base_time, out);
                out += records[i].length;
        }
}

/* Locked. Brings the checks into the encoded frame, which depend on its place. */
static void seal_frame(struct bm_segment *s, const struct bm_record *records, size_t n,
                       uint8_t *bytes, struct bm_location *where)
{
        uint64_t offset = atomic_load_explicit(&s->used, memory_order_relaxed);
        for (size_t i = 0; i < n; i++) {
                bm_record_seal(bytes, records[i].checked, s->header.salt, offset);
                where[i] = (struct bm_location){
                        .segment = s, .offset = (uint32_t)offset, .length = records[i].length};
                bytes += records[i].length;
                offset += records[i].length;
        }
}

/* Locked, for there the segment's counters are at hand. They count as living from here on. */
static void count_puts(struct bm_segment *s, const struct bm_record *records, size_t n,
                       const struct bm_location *where)
{
        for (size_t i = 0; i < n; i++) {
                if (bm_record_puts(records[i].type))
                        bm_segment_add_put(s, where[i].length,
                                           bm_pos(s->header.number, where[i].offset));
        }
}

uint64_t bm_log_room(const struct bm_log *log)
{
        const struct bm_segment *s = atomic_load_explicit(&log->active, memory_order_acquire);
        uint64_t used = atomic_load_explicit(&s->used, memory_order_relaxed) + BM_SEAL_ROOM;
        return used < s->size ? s->size - used : 0;
}

/* Locked. Makes sure that the active segment is S and has room for LEN. *MOVED:
 * it is another one now, and the frame must be encoded for that. */
static int make_room(struct bm_log *log, struct bm_segment *s, uint32_t len, enum bm_claim claim,
                     bool *moved, uint64_t *capacity)
{
        *moved = atomic_load_explicit(&log->active, memory_order_relaxed) != s;
        if (*moved)
                return 0;
        *capacity = s->header.number;
        if (claim < atomic_load_explicit(&log->least_claim, memory_order_relaxed))
                return BM_E_DATA_NO_SPACE;
        if (atomic_load_explicit(&s->used, memory_order_relaxed) + len + BM_SEAL_ROOM <= s->size)
                return 0;
        if (!atomic_load_explicit(&log->next, memory_order_acquire))
                return BM_E_DATA_NO_SPACE;
        *moved = true;
        return install_next(log);
}

/* Whether what was encoded is what the records said: they may point into mappings. */
static bool intact(const struct bm_record *records, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                const struct bm_record *r = &records[i];
                if (!bm_mapped_intact(r->key, r->key_len) ||
                    !bm_mapped_intact(r->meta, r->meta_len) ||
                    !bm_mapped_intact(r->value, r->value_len))
                        return false;
        }
        return true;
}

int bm_log_append(struct bm_log *log, struct bm_record *records, size_t n, enum bm_claim claim,
                  struct bm_location *where, uint64_t *capacity)
{
        uint8_t small[SCRATCH], *bytes = small;
        uint32_t len, room = SCRATCH;
        bool moved = true;
        int r;
        do { /* again only when the segment changed under us */
                struct bm_segment *s = atomic_load_explicit(&log->active, memory_order_acquire);
                r = measure(records, n, s->header.base_time, &len);
                if (r < 0)
                        break;
                if (len > room) {
                        uint8_t *larger = malloc(len);
                        if (!larger) {
                                r = -ENOMEM;
                                break;
                        }
                        if (bytes != small)
                                free(bytes);
                        bytes = larger;
                        room = len;
                }
                encode(records, n, s->header.base_time, bytes);
                if (!intact(records, n)) {
                        r = -EIO;
                        break;
                }
                pthread_mutex_lock(&log->append_lock);
                r = make_room(log, s, len, claim, &moved, capacity);
                if (r == 0 && !moved) {
                        seal_frame(s, records, n, bytes, where);
                        r = copy_in(log, s, bytes, len, n);
                        if (r == 0)
                                count_puts(s, records, n, where);
                }
                pthread_mutex_unlock(&log->append_lock);
        } while (r == 0 && moved);
        if (bytes != small)
                free(bytes);
        return r;
}

void bm_log_fill_ahead(struct bm_log *log)
{
        if (!atomic_load_explicit(&log->drives->small_pages, memory_order_relaxed))
                return;
        bool smallest =
                atomic_load_explicit(&log->sync_span, memory_order_relaxed) < SPAN_CALLS_HUGE;
        pthread_mutex_lock(&log->append_lock);
        bm_segment_fill_ahead(atomic_load_explicit(&log->active, memory_order_relaxed), smallest);
        pthread_mutex_unlock(&log->append_lock);
}
