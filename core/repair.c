/* SPDX-License-Identifier: MIT */
/*
 * Repairing a store. It is opened in memory, past all damage (salvage.h); what
 * is lost is said; what does not fit any more is found. Then, and only now,
 * something is written, and none of it where the old store has anything: a log
 * segment far behind all others, in which what has lost its place gets one;
 * copies of all that lives; an index; and a manifest in
 * the place that the old store's does not use. With that the repaired store is
 * there, and before it the old one: nothing reaches the new files, and they
 * claim nothing (BM_SALVAGE_EPOCHS). The old files go after it, with a clean
 * close. Why all is copied, and not the damaged segments only: what destroyed
 * a tombstone or a newer value would let older ones, elsewhere, come back
 * should the index ever be made anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"
#include "compact.h"
#include "error.h"
#include "recover.h"
#include "recover_start.h"
#include "repair_private.h"
#include "space.h"
#include "store.h"
#include "superblock.h"

enum { PATH_ROOM = 8192, LOG_GAP = 1 << 24 };

/* Telling */

struct name_of_map {
        uint64_t map_id;
        char *name;
        bool failed;
};

static int is_its_entry(void *ctx, const struct bm_item *item)
{
        struct name_of_map *n = ctx;
        if (item->view.map_id != n->map_id)
                return 0;
        n->name = strndup(item->key, item->key_len);
        return 1;
}

/* The names of the maps above, as far as they have one. */
static void path_of(struct bm_store *store, uint64_t map_id, char path[PATH_ROOM])
{
        size_t at = PATH_ROOM - 1;
        path[at] = 0;
        for (unsigned depth = 0; map_id >= BM_MAP_FIRST && depth < 1000; depth++) {
                struct name_of_map n = {.map_id = map_id};
                const uint64_t parent_id = bm_maps_parent(&store->maps, map_id);
                struct bm_map *parent = bm_maps_get(&store->maps, parent_id);
                char nameless[48];
                if (parent)
                        n.failed = bm_keys(parent, is_its_entry, &n) < 0;
                bm_maps_put(&store->maps, parent);
                snprintf(nameless, sizeof(nameless), "(map %llu)", (unsigned long long)map_id);
                const char *name = n.name ? n.name : nameless;
                const size_t len = strlen(name);
                const bool fits = len + 1 <= at;
                if (fits) {
                        path[--at] = '/';
                        at -= len;
                        memcpy(path + at, name, len);
                }
                free(n.name);
                if (!fits || name == nameless)
                        break;
                map_id = parent_id;
        }
        memmove(path, path + at, PATH_ROOM - at);
}

void bm_repair_say(struct bm_repair *rp, uint64_t map_id, const void *key, size_t key_len,
                   const char *fmt, ...)
{
        char message[600], path[PATH_ROOM];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(message, sizeof(message), fmt, ap);
        va_end(ap);
        path_of(rp->store, map_id, path);
        const struct bm_finding finding = {
                .kind = BM_CHECK_RECORD,
                .map_id = map_id,
                .key = key_len ? key : NULL,
                .key_len = key_len,
                .path = path,
                .message = message,
        };
        rp->n_findings++;
        rp->args->finding(rp->args->ctx, &finding);
}

/* Walking */

int bm_repair_each(struct bm_repair *rp, struct bm_map *map, bm_repair_fn fn)
{
        const unsigned skip = map->buckets_log2;
        int r = 0;
        for (size_t i = 0; i < (size_t)1 << skip && r == 0; i++) {
                uint64_t hash = skip ? (uint64_t)i << (64 - skip) : 0;
                uint64_t end = skip ? hash | (UINT64_MAX >> skip) : UINT64_MAX, last;
                do {
                        struct bm_known_slot *slots;
                        size_t n;
                        r = bm_index_collect(&map->buckets[i].index, hash, &slots, &n, &last);
                        if (r < 0)
                                return r;
                        for (size_t k = 0; k < n && r == 0; k++) {
                                struct bm_segment *s;
                                struct bm_record record;
                                r = bm_slot_record(rp->store, &slots[k].slot, NULL,
                                                   BM_TRUST_NOTHING, &s, &record);
                                if (r == 0)
                                        r = fn(rp, map, &record);
                        }
                        free(slots);
                        hash = last + 1;
                } while (r == 0 && last < end);
        }
        return r;
}

int bm_repair_each_map(struct bm_repair *rp, bm_repair_fn fn)
{
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&rp->store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                if (maps[i]->id != BM_MAP_ORPHANS)
                        r = bm_repair_each(rp, maps[i], fn);
        }
        bm_maps_list_free(&rp->store->maps, maps, n);
        return r;
}

int bm_repair_add(struct bm_repair *rp, const struct bm_misfit *misfit)
{
        if (rp->n == rp->cap) {
                size_t cap = rp->cap ? rp->cap * 2 : 64;
                struct bm_misfit *grown = realloc(rp->misfits, cap * sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                rp->misfits = grown;
                rp->cap = cap;
        }
        rp->misfits[rp->n++] = *misfit;
        return 0;
}

/* What a map holds, without what is lost. */

static int count_record(struct bm_repair *rp, struct bm_map *map, const struct bm_record *r)
{
        const uint64_t bytes = bm_record_value_size(r), is_map = r->type == BM_REC_MAP;
        struct bm_target t;
        int result = bm_target_init(&t, map, r->key, r->key_len);
        if (result < 0)
                return BM_E_DAMAGED;
        bm_figure_add(&t.bucket->value_bytes, bytes);
        bm_figure_add(&t.bucket->n_maps, is_map);
        if (bm_map_has_values(map))
                bm_sum_add(rp->store, t.stripe, BM_SUM_VALUE_BYTES, bytes);
        if (bm_map_is_user(map))
                bm_sum_add(rp->store, t.stripe, BM_SUM_KEYS, 1 - is_map);
        return 0;
}

static int count_anew(struct bm_repair *rp)
{
        struct bm_map **maps;
        size_t n;
        int r = bm_maps_list(&rp->store->maps, &maps, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
                for (size_t k = 0; k < (size_t)1 << maps[i]->buckets_log2; k++)
                        maps[i]->buckets[k].value_bytes = maps[i]->buckets[k].n_maps = 0;
        }
        bm_maps_list_free(&rp->store->maps, maps, n);
        bm_sum_clear(rp->store, BM_SUM_KEYS);
        bm_sum_clear(rp->store, BM_SUM_VALUE_BYTES);
        return r == 0 ? bm_repair_each_map(rp, count_record) : r;
}

/* Looking */

static void on_finding(void *ctx, const struct bm_finding *finding)
{
        struct bm_repair *rp = ctx;
        rp->n_findings++;
        if (finding->kind == BM_CHECK_DEAD || finding->kind == BM_CHECK_RECORD)
                rp->salvage->data_damaged = true;
        /* what it says of the structure is said again, with what becomes of it */
        if (finding->kind != BM_CHECK_STRUCTURE)
                rp->args->finding(rp->args->ctx, finding);
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
        struct bm_repair *rp = ctx;
        return rp->args->progress ? rp->args->progress(rp->args->ctx, done, total) : 0;
}

static int look(struct bm_repair *rp)
{
        const struct bm_check_args args = {
                .finding = on_finding, .progress = on_progress, .ctx = rp};
        int r = bm_check(rp->store, &args);
        if (r != 0 && r != BM_E_DAMAGED)
                return r;
        r = bm_repair_losses(rp);
        if (r == 0)
                r = count_anew(rp);
        if (r == 0)
                r = bm_repair_find_misfits(rp);
        if (r == 0 && (rp->salvage->skipped || (rp->salvage->rebuilt && rp->salvage->data_damaged)))
                bm_repair_say(
                        rp, 0, NULL, 0,
                        "changes are lost with what is damaged: keys may have an older value, "
                        "and removed ones may be back");
        return r;
}

/* Writing */

struct highest {
        uint64_t log, cold;
};

static int note_old(void *ctx, struct bm_segment *s)
{
        struct highest *h = ctx;
        /* all that lives in it is copied; its file is closed by now */
        atomic_store(&s->synced, atomic_load(&s->used));
        if (s->header.kind == BM_SEGMENT_LOG && s->header.number > h->log)
                h->log = s->header.number;
        if (s->header.kind == BM_SEGMENT_COLD && s->header.number > h->cold)
                h->cold = s->header.number;
        return 0;
}

static int forget_old(void *ctx, struct bm_segment *s)
{
        struct highest *h = ctx;
        if (atomic_load(&s->state) == BM_SEGMENT_PREPARED && s->header.kind != BM_SEGMENT_INDEX &&
            s->header.number <= (s->header.kind == BM_SEGMENT_LOG ? h->log : h->cold)) {
                s->emptied = true;
                atomic_store(&s->state, BM_SEGMENT_SEALED);
        }
        return 0;
}

/* The file is lost. Its name must last longer than those of the old files. */
static int make_manifest(struct bm_store *store)
{
        const int dir = store->drives.drives[0].dir;
        store->manifests.fd =
                bm_io_call(store->io, open_at, dir, BM_FILE_MANIFEST, O_RDWR | O_CREAT, 0600);
        if (store->manifests.fd < 0)
                return store->manifests.fd;
        return bm_io_call(store->io, sync_dir, dir);
}

/* Whatever is in force from here on is written far behind all that was. */
static int begin_writing(struct bm_repair *rp, struct highest *h)
{
        struct bm_store *store = rp->store;
        struct bm_segment *segment;
        bm_drives_each(&store->drives, note_old, h);
        store->read_only = false;
        store->log.epoch += BM_SALVAGE_EPOCHS;
        if (store->next_cold <= h->cold)
                store->next_cold = h->cold + 1;
        const uint64_t number = h->log + LOG_GAP;
        if (bm_pos_number(bm_pos(number, 0)) != number)
                return -EOVERFLOW;
        int r = store->manifests.fd < 0 ? make_manifest(store) : 0;
        if (r == 0)
                r = bm_start_log(store, number, 0, &segment);
        if (r == 0)
                bm_start_at(store, segment, BM_SEGMENT_HEADER,
                            bm_pos(segment->header.number, BM_SEGMENT_HEADER));
        return r;
}

static int write_all(struct bm_repair *rp)
{
        struct bm_store *store = rp->store;
        struct highest h = {0};
        int r = bm_recount(store);
        if (r == 0)
                r = begin_writing(rp, &h);
        if (r == 0)
                r = bm_repair_place(rp, false);
        bm_drives_each(&store->drives, forget_old, &h);
        if (r == 0)
                r = bm_compact_all(store, h.log + 1, h.cold + 1);
        if (r == 0)
                r = bm_checkpoint_write(store, false);
        return r;
}

/* Files that are no segments any more: a header that is damaged. Those of another store stay. */
struct left_out {
        struct bm_store *store;
        unsigned drive;
};

static int remove_left_out(void *ctx, const char *name)
{
        const struct left_out *l = ctx;
        struct bm_drives *d = &l->store->drives;
        struct bm_segment *s;
        uint32_t file_id;
        if (bm_segment_parse_name(name, &file_id) != 0 || bm_drives_segment(d, file_id))
                return 0;
        int r = bm_segment_open(d->io, d->drives[l->drive].segments, file_id, BM_SEGMENT_READ, &s);
        if (r == 0)
                bm_segment_free(s);
        else if (r == BM_E_DAMAGED || r == BM_E_NOT_FOUND)
                (void)bm_io_call(d->io, unlink_at, d->drives[l->drive].segments, name);
        return 0;
}

static int finish(struct bm_repair *rp)
{
        struct bm_drives *d = &rp->store->drives;
        int r = 0;
        for (unsigned i = 0; i < d->n_drives && r == 0; i++) {
                struct left_out l = {.store = rp->store, .drive = i};
                r = bm_superblock_mend(d->io, d->drives[i].dir);
                if (r == 0)
                        r = bm_io_call(d->io, list, d->drives[i].segments, remove_left_out, &l);
        }
        return r;
}

/* Whether an ordinary open goes past nothing. Before the lock is taken, which is ours alone. */
static int is_refused(const char *path, const struct bm_config *looking, bool *refused)
{
        struct bm_store *store;
        int r = bm_open(path, looking, &store);
        *refused = r == BM_E_DAMAGED || r == -EIO || (r == 0 && store->damage[0]);
        if (r == 0)
                return bm_close(store);
        return *refused ? 0 : r;
}

/* Damage that is in the way of the repair itself is another thing than damage that was found. */
static int beyond_repair(int r)
{
        if (r != BM_E_DAMAGED)
                return r;
        if (!bm_last_problem()[0])
                bm_problem_set("what every store needs is lost");
        return -EIO;
}

int bm_repair(const char *path, const struct bm_config *config, const struct bm_repair_args *args)
{
        struct bm_salvage salvage = {.writable = !args->dry_run};
        struct bm_repair rp = {.salvage = &salvage, .args = args};
        struct bm_config looking = *config;
        looking.read_only = true;
        looking.no_background = true;
        bool refused;
        int r = is_refused(path, &looking, &refused);
        if (r == 0)
                r = bm_open_salvage(path, &looking, &salvage, &rp.store);
        if (r != 0)
                return beyond_repair(r);
        r = look(&rp);
        const bool damaged = rp.n_findings > 0 || salvage.rebuilt || salvage.skipped || rp.n > 0 ||
                             rp.store->lost_segment || refused;
        if (r == 0 && damaged && args->dry_run)
                r = bm_repair_place(&rp, true);
        if (r == 0 && damaged && !args->dry_run) {
                r = write_all(&rp);
                if (r == 0)
                        r = finish(&rp);
        }
        /* after a failure nothing may be closed in order: the old store stays */
        if (r != 0)
                rp.store->read_only = true;
        int closed = bm_close(rp.store);
        bm_salvage_free(&salvage);
        free(rp.misfits);
        r = r != 0 ? r : closed;
        return r != 0 ? beyond_repair(r) : damaged ? BM_E_DAMAGED : 0;
}
