/* SPDX-License-Identifier: MIT */
/* See recover.h. The numbers are those of DESIGN.md, "Recovery". */
#include "recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "base/intmath.h"
#include "checkpoint.h"
#include "error.h"
#include "recover_start.h"
#include "store.h"
#include "superblock.h"

/* Segment files that a killed process had not come to write a header to, or had wiped it. */
struct unfinished {
        struct bm_store *store;
        struct {
                unsigned drive;
                uint32_t file_id;
        } list[BM_SPARES_MAX + 64]; /* more than these the next open removes */
        size_t n;
};

/* A segment that cannot be opened matters only if something refers to it;
 * loading the tables says so. */
static void note_bad_segment(void *ctx, unsigned drive, uint32_t file_id, int result)
{
        struct unfinished *u = ctx;
        struct bm_store *store = u->store;
        if (result == BM_E_NOT_FOUND) {
                if (u->n == bm_array_size(u->list))
                        return;
                u->list[u->n].drive = drive;
                u->list[u->n++].file_id = file_id;
                return;
        }
        if (result != BM_E_MISMATCH)
                store->lost_segment = true; /* for all that a rebuild would know */
        bm_store_log(store, BM_LOG_WARNING, "segment %08" PRIx32 " on %s is left out: %s", file_id,
                     store->drives.drives[drive].path, bm_strerror(result));
}

/* Durably: a wipe may be in memory only, and what stands behind that header is not to come back
 * when the tombstones that hide it are gone. */
static int remove_unfinished(const struct unfinished *u)
{
        struct bm_drives *d = &u->store->drives;
        for (size_t i = 0; i < u->n; i++) {
                char name[BM_SEGMENT_NAME];
                bm_segment_name(u->list[i].file_id, name);
                (void)bm_io_call(d->io, unlink_at, d->drives[u->list[i].drive].segments, name);
        }
        return u->n > 0 ? bm_drives_sync_names(d) : 0;
}

/* Who only reads can do without. */
static int open_manifests(struct bm_store *store, struct bm_manifests_read *mr)
{
        bool writable = !store->read_only || (store->salvage && store->salvage->writable);
        int flags = writable ? O_RDWR : O_RDONLY;
        int fd = bm_io_call(store->io, open_at, store->drives.drives[0].dir, BM_FILE_MANIFEST,
                            flags, 0);
        store->manifests.fd = fd;
        if (fd >= 0)
                return bm_manifests_read(store, mr);
        if (fd != -ENOENT && fd != -EMEDIUMTYPE)
                return fd;
        bm_problem_set(fd == -ENOENT ? "the manifest is missing" : "the manifest is no plain file");
        if (!store->read_only)
                return BM_E_DAMAGED;
        mr->any_bytes = true;
        bm_store_note_damage(store);
        return 0;
}

/* Read-only: what is left of a store that a data segment is missing of. */
static int load_rest(struct bm_store *store, struct bm_manifests_read *mr)
{
        store->tolerant = true;
        int r = bm_manifests_load(store, mr);
        if (r == BM_E_DAMAGED)
                bm_store_note_damage(store);
        return r;
}

/* All that said more was durable may have stood in what is missing. */
static int note_cut(void *ctx, struct bm_segment *s)
{
        struct bm_store *store = ctx;
        char place[4200];
        if (s->cut) {
                bm_problem_set("%s is cut short",
                               bm_drives_place(&store->drives, s, place, sizeof(place)));
                bm_store_note_damage(store);
        }
        return 0;
}

/* Before a store's first manifest its superblocks may be half written; later on that is damage. */
static int finish_creation(struct bm_store *store)
{
        int r = 0;
        for (unsigned i = 0; i < store->drives.n_drives && r == 0; i++)
                r = bm_superblock_mend(store->io, store->drives.drives[i].dir);
        return r;
}

static int recover(struct bm_store *store, struct unfinished *unfinished)
{
        struct bm_manifests_read mr = {.n = 0};
        int r = open_manifests(store, &mr);
        if (r == 0)
                r = bm_drives_scan(&store->drives, !store->read_only, note_bad_segment, unfinished);
        if (r == 0 && !store->read_only) /* a killed process may have left them in memory only */
                r = bm_drives_sync_names(&store->drives);
        if (r != 0)
                return r;
        (void)bm_start_each(store, note_cut, store);
        if (!mr.any_bytes && !store->read_only)
                r = finish_creation(store);
        if (r != 0)
                return r;
        if (!mr.any_bytes && store->drives.highest_file_id == 0)
                return bm_start_fresh(store);
        r = bm_manifests_load(store, &mr);
        if (r == BM_E_DAMAGED && store->lost_segment && store->read_only && !store->salvage)
                r = load_rest(store, &mr);
        /* with a file that is gone, keys would be gone without a word */
        if (r == BM_E_DAMAGED && (!store->lost_segment || store->tolerant || store->salvage))
                return bm_start_rebuilt(store, mr.n ? mr.list[0].generation : 1);
        /* as it was read: where half of it is written it is still whole */
        if (r == 0 && !store->read_only)
                r = bm_checkpoint_settle(store);
        if (mr.followed)
                store->manifests.newest.clean = false;
        if (r == 0)
                r = bm_start_maps(store);
        if (r != 0)
                return r;
        const struct bm_manifest *m = &store->manifests.newest;
        bm_start_ids(store, &(struct bm_replay){.next_record = m->next_record,
                                                .next_map = m->next_map,
                                                .next_data = m->next_data});
        store->next_cold = m->next_segment;
        return m->clean && !store->salvage ? bm_start_clean(store) : bm_start_crashed(store);
}

int bm_recover(struct bm_store *store)
{
        struct unfinished unfinished = {.store = store};
        int r = recover(store, &unfinished);
        return r == 0 && !store->read_only ? remove_unfinished(&unfinished) : r;
}
