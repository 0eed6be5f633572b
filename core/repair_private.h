/* SPDX-License-Identifier: MIT */
/* What the parts of a repair share: see repair.c. */
#ifndef BM_REPAIR_PRIVATE_H
#define BM_REPAIR_PRIVATE_H

#include "bucket.h"
#include "bucketmap.h"
#include "id_set.h"
#include "map.h"
#include "salvage.h"

/* A record that cannot stay where it is. */
struct bm_misfit {
        enum {
                BM_HOLED,
                BM_NAMELESS,
                BM_HEADLESS,
                BM_UNNAMED_MAP,
                BM_DANGLING,
                BM_MISCOUNTED,
                BM_UNPATCHED,  /* a chunk that lacks the patch of PIECE: it gets zeros */
                BM_STRAY_PATCH /* of nobody: it goes */
        } what;
        uint64_t map_id, record_id, data_id; /* of a map without a name: its id in DATA_ID */
        uint64_t lost_from, lost_to;         /* HOLED: the first lost bytes */
        uint64_t lost, size;                 /* HOLED: lost in all, at most; HEADLESS: found */
        uint32_t links, generation;
        uint64_t piece; /* of DATA_ID */
        uint8_t key_len, key[255];
};

struct bm_repair {
        struct bm_store *store;
        struct bm_salvage *salvage;
        const struct bm_repair_args *args;
        uint64_t n_findings;
        struct bm_repair_fit *fit; /* while misfits are looked for */
        struct bm_misfit *misfits;
        size_t n, cap;
};

/* FN for the record of each slot of a map, and for all maps but orphans. */
typedef int (*bm_repair_fn)(struct bm_repair *rp, struct bm_map *map, const struct bm_record *r);
int bm_repair_each(struct bm_repair *rp, struct bm_map *map, bm_repair_fn fn);
int bm_repair_each_map(struct bm_repair *rp, bm_repair_fn fn);

int bm_repair_add(struct bm_repair *rp, const struct bm_misfit *misfit);
void __attribute__((format(printf, 5, 6)))
bm_repair_say(struct bm_repair *rp, uint64_t map_id, const void *key, size_t key_len,
              const char *fmt, ...);

/* Says what is lost (repair_lost.c), and finds what does not fit any more (repair_fit.c). */
int bm_repair_losses(struct bm_repair *rp);
int bm_repair_find_misfits(struct bm_repair *rp);
/* Which pieces of a chunk were in patches that are lost (repair_patches.c). */
int bm_repair_lost_pieces(struct bm_repair *rp, const struct bm_found *chunk, uint64_t data_id,
                          uint64_t number, uint32_t *lost);
/* Finds what does not fit of a chunk, and of a patch. */
int bm_repair_look_at_chunk(struct bm_repair *rp, const struct bm_record *r);
int bm_repair_look_at_patch(struct bm_repair *rp, const struct bm_record *r);
int bm_repair_place_patch(struct bm_repair *rp, struct bm_misfit *m, bool dry);
/* Says what becomes of each, and does it unless DRY (repair_place.c). */
int bm_repair_place(struct bm_repair *rp, bool dry);
/* Writes the repaired store beside the old one, puts it in force, and takes away what no ordinary
 * close would (repair_write.c). */
int bm_repair_write(struct bm_repair *rp);
int bm_repair_finish(struct bm_repair *rp);

#endif
