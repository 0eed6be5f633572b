/* SPDX-License-Identifier: MIT */
/* Reading the log again: whole frames in order, from the checkpoint to the first that is not whole.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/intmath.h"
#include "error.h"
#include "recover.h"
#include "store.h"

enum { PLACE = 4200 };

struct reader {
        struct bm_store *store;
        struct bm_replay *replay;
        struct bm_segment **by_number; /* log segments, in no order */
        size_t n_segments, cap_segments;
        struct bm_record *frame;
        struct bm_location *where;
        size_t n_frame, cap_frame;
};

static int collect_log(void *ctx, struct bm_segment *s)
{
        struct reader *rd = ctx;
        if (s->header.kind != BM_SEGMENT_LOG)
                return 0;
        if (rd->n_segments == rd->cap_segments) {
                size_t cap = rd->cap_segments ? rd->cap_segments * 2 : 64;
                struct bm_segment **grown =
                        realloc(rd->by_number, cap * sizeof(struct bm_segment *));
                if (!grown)
                        return -ENOMEM;
                rd->by_number = grown;
                rd->cap_segments = cap;
        }
        rd->by_number[rd->n_segments++] = s;
        return 0;
}

static struct bm_segment *by_number(const struct reader *rd, uint64_t number)
{
        for (size_t i = 0; i < rd->n_segments; i++) {
                if (rd->by_number[i]->header.number == number)
                        return rd->by_number[i];
        }
        return NULL;
}

/* What the medium does not give must not be taken for the log's end. */
static int cannot_read(struct bm_store *store, const struct bm_segment *s, uint64_t at)
{
        char place[PLACE];
        bm_problem_set("byte %" PRIu64 " of %s cannot be read", at,
                       bm_drives_place(&store->drives, s, place, sizeof(place)));
        return -EIO;
}

/* A frame's records from OFFSET on; *LEN gets its length. BM_E_DAMAGED where it is not whole. */
static int read_frame(struct reader *rd, struct bm_segment *s, uint64_t offset, uint64_t *len)
{
        uint64_t at = offset;
        bool more = true;
        rd->n_frame = 0;
        while (more) {
                if (rd->n_frame == rd->cap_frame) {
                        size_t cap = rd->cap_frame ? rd->cap_frame * 2 : 64;
                        struct bm_record *frame = realloc(rd->frame, cap * sizeof(*frame));
                        if (frame)
                                rd->frame = frame;
                        struct bm_location *where =
                                frame ? realloc(rd->where, cap * sizeof(*where)) : NULL;
                        if (!where)
                                return -ENOMEM;
                        rd->where = where;
                        rd->cap_frame = cap;
                }
                struct bm_record *r = &rd->frame[rd->n_frame];
                int result = bm_segment_record(s, at, r);
                if (result == -EIO)
                        return cannot_read(rd->store, s, at);
                if (result != 0 || at + r->length - offset > BM_FRAME_MAX)
                        return BM_E_DAMAGED;
                rd->where[rd->n_frame++] = (struct bm_location){
                        .segment = s, .offset = (uint32_t)at, .length = r->length};
                at += r->length;
                more = r->more;
        }
        *len = at - offset;
        return 0;
}

static int replay_frame(struct reader *rd, bool apply)
{
        for (size_t i = 0; i < rd->n_frame; i++) {
                const struct bm_record *r = &rd->frame[i];
                const struct bm_location *w = &rd->where[i];
                if (r->type == BM_REC_SYNC && r->version > rd->replay->durable)
                        rd->replay->durable = r->version;
                uint64_t position = bm_pos(w->segment->header.number, w->offset);
                if (bm_record_puts(r->type))
                        bm_segment_count_put(w->segment, position);
                if (r->type == BM_REC_DEL && r->map_id != BM_MAP_ORPHANS)
                        bm_segment_count_tombstone(w->segment, r->length, position);
                if (!apply || r->type == BM_REC_SYNC || r->type == BM_REC_SEAL)
                        continue;
                int result = bm_replay_record(rd->store, rd->replay, r, w);
                if (result != 0)
                        return result;
                rd->replay->records++;
        }
        return 0;
}

/* The segment that a seal leads to, or NULL where it is not there. That is no
 * end of the log if its file is there, but damaged. */
static struct bm_segment *follow_seal(struct reader *rd, const struct bm_segment *s)
{
        const struct bm_record *r = &rd->frame[rd->n_frame - 1];
        struct bm_seal seal;
        if (r->type != BM_REC_SEAL || bm_seal_decode(&seal, r->value, r->value_len) != 0)
                return NULL;
        /* upwards only, or there might be no end */
        if (seal.next_number <= s->header.number)
                return NULL;
        struct bm_segment *next = by_number(rd, seal.next_number);
        if (next && next->header.salt == seal.next_salt)
                return next;
        rd->replay->durable =
                bm_max_u64(rd->replay->durable, bm_replay_left_out(&rd->store->drives, &seal));
        return NULL;
}

/* The first log segment behind that number; what an interrupted repair made is none. */
static struct bm_segment *segment_behind(const struct reader *rd, uint64_t number, uint64_t epoch)
{
        struct bm_segment *found = NULL;
        for (size_t i = 0; i < rd->n_segments; i++) {
                struct bm_segment *s = rd->by_number[i];
                if (s->header.number > number && s->header.epoch < epoch + BM_SALVAGE_EPOCHS &&
                    (!found || s->header.number < found->header.number))
                        found = s;
        }
        return found;
}

static void begin_segment(struct bm_segment *s)
{
        atomic_store(&s->n_puts, 0); /* counted anew, from its start */
        atomic_store(&s->kept_bytes, 0);
        atomic_store(&s->kept_version, 0);
        atomic_store(&s->state, BM_SEGMENT_OPEN);
        atomic_store(&s->lowest_version, bm_pos(s->header.number, 0));
}

/*
 * For a repair: where the log has a hole before what was durable, it goes on
 * with the next whole record. One that is whole and stands in a frame that is
 * not is applied for itself. BM_E_NOT_FOUND: this is the end.
 */
static int replay_past_damage(struct reader *rd, struct bm_segment **s, uint64_t *at, uint64_t from)
{
        struct bm_salvage *sv = rd->store->salvage;
        uint64_t position = bm_pos((*s)->header.number, *at);
        struct bm_record r;
        if (!sv || position >= rd->replay->durable)
                return BM_E_NOT_FOUND;
        sv->skipped = sv->data_damaged = true;
        if (bm_segment_record(*s, *at, &r) == 0 && r.type != BM_REC_SEAL) {
                rd->where[0] = (struct bm_location){
                        .segment = *s, .offset = (uint32_t)*at, .length = r.length};
                rd->frame[0] = r;
                rd->n_frame = 1;
                *at += r.length;
                return replay_frame(rd, position >= from);
        }
        int noted = bm_salvage_note(rd->store, *s, *at);
        if (noted < 0)
                return noted;
        *at = bm_salvage_next(*s, *at, (*s)->size);
        if (*at < (*s)->size)
                return 0;
        struct bm_segment *next = segment_behind(rd, (*s)->header.number, (*s)->header.epoch);
        if (!next)
                return BM_E_NOT_FOUND;
        atomic_store(&(*s)->state, BM_SEGMENT_SEALED);
        *s = next;
        *at = BM_SEGMENT_HEADER;
        begin_segment(next);
        return 0;
}

static int replay_chain(struct reader *rd, struct bm_segment *s, uint64_t from)
{
        uint64_t at = BM_SEGMENT_HEADER, len = 0;
        begin_segment(s);
        for (;;) {
                rd->replay->end = bm_pos(s->header.number, at);
                atomic_store(&s->used, at);
                int r = read_frame(rd, s, at, &len);
                if (r == -EIO && rd->store->read_only) { /* as far as it goes */
                        bm_store_note_damage(rd->store);
                        return 0;
                }
                if (r < 0)
                        return r;
                if (r != 0) {
                        r = replay_past_damage(rd, &s, &at, from);
                        if (r != 0)
                                return r == BM_E_NOT_FOUND ? 0 : r;
                        continue;
                }
                if (rd->frame[rd->n_frame - 1].type == BM_REC_SEAL) {
                        struct bm_segment *next = follow_seal(rd, s);
                        if (!next && rd->store->salvage &&
                            bm_pos(s->header.number, at) < rd->replay->durable) {
                                rd->store->salvage->skipped = true;
                                next = segment_behind(rd, s->header.number, s->header.epoch);
                        }
                        if (!next)
                                return 0;
                        atomic_store(&s->used, at + len);
                        atomic_store(&s->state, BM_SEGMENT_SEALED);
                        if (next->header.durable > rd->replay->durable)
                                rd->replay->durable = next->header.durable;
                        s = next;
                        at = BM_SEGMENT_HEADER;
                        begin_segment(s);
                        continue;
                }
                const bool counts = bm_pos(s->header.number, at) >= from;
                r = replay_frame(rd, counts);
                if (r != 0)
                        return r;
                rd->replay->bytes += counts ? len : 0;
                if (!bm_mapped_intact(s->base + at, len))
                        return cannot_read(rd->store, s, at);
                at += len;
        }
}

/* Looks at every place from AT on: what stands between sync records may be damaged. */
static void find_syncs(struct reader *rd, const struct bm_segment *s, uint64_t at)
{
        struct bm_record r;
        for (; at < s->size; at += BM_UNIT) {
                uint32_t len = bm_record_length(s->base + at, s->size - at);
                if (len == 0 || len > 64 || bm_segment_record(s, at, &r) != 0)
                        continue;
                if (r.type == BM_REC_SYNC && r.version > rd->replay->durable)
                        rd->replay->durable = r.version;
        }
}

/* Whatever is behind the end and still says that more was durable: then the
 * end is no end but damage. A later segment's header is older than the sync
 * records in it. */
static void look_beyond(struct reader *rd)
{
        struct bm_segment *last = by_number(rd, bm_pos_number(rd->replay->end));
        find_syncs(rd, last, bm_pos_offset(rd->replay->end));
        for (size_t i = 0; i < rd->n_segments; i++) {
                const struct bm_segment_header *h = &rd->by_number[i]->header;
                if (h->number <= last->header.number ||
                    h->epoch >= last->header.epoch + BM_SALVAGE_EPOCHS)
                        continue;
                if (h->durable > rd->replay->durable)
                        rd->replay->durable = h->durable;
                find_syncs(rd, rd->by_number[i], BM_SEGMENT_HEADER);
        }
}

int bm_replay_look_beyond(struct bm_store *store, struct bm_replay *replay)
{
        struct reader rd = {.store = store, .replay = replay};
        int r = bm_drives_each(&store->drives, collect_log, &rd);
        if (r == 0)
                look_beyond(&rd);
        free(rd.by_number);
        return r;
}

int bm_replay(struct bm_store *store, uint64_t from, struct bm_replay *replay)
{
        struct reader rd = {.store = store, .replay = replay};
        int r = bm_drives_each(&store->drives, collect_log, &rd);
        struct bm_segment *first = r == 0 ? by_number(&rd, bm_pos_number(from)) : NULL;
        if (r == 0 && !first && store->salvage) {
                store->salvage->skipped = true;
                first = segment_behind(&rd, bm_pos_number(from), UINT64_MAX / 2);
                from = first ? bm_pos(first->header.number, 0) : from;
        }
        if (r == 0 && first && store->salvage) {
                replay->end = bm_pos(first->header.number, BM_SEGMENT_HEADER);
                look_beyond(&rd);
        }
        if (r == 0 && !first) {
                bm_problem_set("log segment number %" PRIu64 " is missing", bm_pos_number(from));
                replay->end = replay->durable; /* no more is said than that */
                if (store->tolerant || store->salvage)
                        bm_store_note_damage(store);
                else
                        r = BM_E_DAMAGED;
        } else if (r == 0) {
                r = replay_chain(&rd, first, from);
                if (r == 0)
                        look_beyond(&rd);
        }
        free(rd.by_number);
        free(rd.frame);
        free(rd.where);
        return r;
}
