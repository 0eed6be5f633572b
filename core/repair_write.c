/* SPDX-License-Identifier: MIT */
/* The part of a repair that writes: repair.c says in which order, and why. */
#include <errno.h>
#include <fcntl.h>

#include "checkpoint.h"
#include "compact.h"
#include "recover.h"
#include "recover_start.h"
#include "repair_private.h"
#include "store.h"
#include "superblock.h"

enum { LOG_GAP = 1 << 24 };

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

int bm_repair_write(struct bm_repair *rp)
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

int bm_repair_finish(struct bm_repair *rp)
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
