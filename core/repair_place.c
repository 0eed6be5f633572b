/* SPDX-License-Identifier: MIT */
/* A place for what has lost its own: the map "lost+found" of the root. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/le.h"
#include "links.h"
#include "repair_private.h"
#include "store.h"

enum { TRIES = 1000, NAME_ROOM = 64 };

/* lost+found, made when the first needs it. */
static int open_lost(struct bm_repair *rp, struct bm_map **lost)
{
        char name[NAME_ROOM] = "lost+found";
        struct bm_view view;
        for (unsigned i = 1; i < TRIES; i++) {
                int r = bm_read_value(rp->store->root, name, strlen(name), &view);
                if (r == BM_E_NOT_FOUND) {
                        uint64_t id;
                        r = bm_map_create(rp->store->root, name, strlen(name), NULL, 0, &id, NULL);
                        return r == 0 ? bm_map_open(rp->store, id, lost) : r;
                }
                if (r != 0)
                        return r;
                const uint64_t id = view.map_id;
                bm_view_release(&view);
                if (id)
                        return bm_map_open(rp->store, id, lost);
                snprintf(name, sizeof(name), "lost+found.%u", i);
        }
        return -EEXIST;
}

/* The name of a record in there; the I-th attempt. */
static size_t name_of(uint64_t id, unsigned i, char name[NAME_ROOM])
{
        if (i == 0)
                return (size_t)snprintf(name, NAME_ROOM, "#%" PRIu64, id);
        return (size_t)snprintf(name, NAME_ROOM, "#%" PRIu64 ".%u", id, i);
}

struct put {
        struct bm_record record;
        uint64_t links_of; /* not 0: the record of that id gets so many names */
        uint32_t links;
};

static int fill_put(struct bm_txn *txn, void *ctx)
{
        struct put *p = ctx;
        if (txn->steps[0].found.there)
                return BM_E_EXISTS;
        if (p->links_of) {
                size_t i;
                int r = bm_txn_more_id(txn, txn->store->inodes, p->links_of, &i);
                if (r != 0)
                        return r;
                bm_put_again(&txn->steps[i]);
                txn->steps[i].next.links = p->links;
        }
        txn->steps[0].action = BM_ACT_PUT;
        txn->steps[0].next = p->record;
        return 0;
}

/* Puts a record under a free name for ID. */
static int put_lost(struct bm_repair *rp, uint64_t id, struct put *p, char name[NAME_ROOM])
{
        struct bm_map *lost;
        int r = open_lost(rp, &lost);
        if (r != 0)
                return r;
        r = BM_E_EXISTS;
        for (unsigned i = 0; i < TRIES && r == BM_E_EXISTS; i++) {
                struct bm_txn txn;
                const size_t len = name_of(id, i, name);
                bm_txn_init(&txn, rp->store);
                r = bm_txn_add(&txn, lost, name, len, NULL);
                if (r == 0)
                        r = bm_txn_run(&txn, fill_put, p);
                bm_txn_deinit(&txn);
        }
        bm_map_close(lost);
        return r;
}

static int move_key(struct bm_repair *rp, uint64_t map_id, const uint8_t *key, size_t key_len,
                    uint64_t id)
{
        char name[NAME_ROOM];
        struct bm_map *from, *lost;
        int r = bm_map_open(rp->store, map_id, &from);
        if (r != 0)
                return r;
        r = open_lost(rp, &lost);
        if (r == 0) {
                r = BM_E_EXISTS;
                for (unsigned i = 0; i < TRIES && r == BM_E_EXISTS; i++) {
                        struct bm_rename_args args = {.no_replace = true};
                        const struct bm_ref ref = {from, key, key_len, 0};
                        const size_t len = name_of(id, i, name);
                        r = bm_rename(&ref, lost, name, len, &args);
                }
                bm_map_close(lost);
        }
        bm_map_close(from);
        return r;
}

static void say_holed(struct bm_repair *rp, const struct bm_misfit *m, uint64_t map_id,
                      const uint8_t *key, size_t key_len)
{
        if (m->lost_to > m->lost_from)
                bm_repair_say(rp, map_id, key, key_len,
                              "%" PRIu64 " bytes are lost, from byte %" PRIu64 " to %" PRIu64
                              "; the rest goes to lost+found/#%" PRIu64,
                              m->lost, m->lost_from, m->lost_to - 1, m->record_id);
        else
                bm_repair_say(rp, map_id, key, key_len,
                              "up to %" PRIu64
                              " bytes may be lost; it goes to lost+found/#%" PRIu64,
                              m->lost, m->record_id);
}

/* One that is kept by its id is moved by its names, each for itself. */
static int place_holed(struct bm_repair *rp, const struct bm_misfit *m, bool dry)
{
        if (m->map_id == BM_MAP_INODES)
                return 0;
        say_holed(rp, m, m->map_id, m->key, m->key_len);
        return dry ? 0 : move_key(rp, m->map_id, m->key, m->key_len, m->record_id);
}

static int place_headless(struct bm_repair *rp, const struct bm_misfit *m, bool dry)
{
        const uint64_t id = atomic_fetch_add(&rp->store->next_record, 1);
        const struct bm_head head = {
                .size = m->size,
                .data_id = m->data_id,
                .allocated = m->lost,
                .generation = m->generation,
                .chunk_log2 = BM_CHUNK_LOG2,
        };
        uint8_t bytes[BM_HEAD_BYTES_MAX];
        char name[NAME_ROOM];
        struct put p = {.record = {.type = BM_REC_HEAD, .record_id = id, .count = 1}};
        bm_repair_say(rp, 0, NULL, 0,
                      "%" PRIu64
                      " bytes of a large value whose key is lost go to lost+found/#%" PRIu64,
                      m->lost, id);
        p.record.value = bytes;
        p.record.value_len = bm_head_encode(&head, bytes);
        return dry ? 0 : put_lost(rp, id, &p, name);
}

static int place_map(struct bm_repair *rp, const struct bm_misfit *m, bool dry)
{
        const uint64_t id = atomic_fetch_add(&rp->store->next_record, 1);
        const struct bm_map_entry entry = {.map_id = m->data_id, .buckets_log2 = (uint8_t)m->links};
        uint8_t bytes[BM_MAP_ENTRY_BYTES];
        char name[NAME_ROOM];
        struct put p = {.record = {.type = BM_REC_MAP,
                                   .record_id = id,
                                   .count = 1,
                                   .value = bytes,
                                   .value_len = sizeof(bytes)}};
        bm_repair_say(rp, m->data_id, NULL, 0,
                      "this map has lost its name and goes to lost+found/#%" PRIu64, id);
        bm_map_entry_encode(&entry, bytes);
        return dry ? 0 : put_lost(rp, id, &p, name);
}

static int fill_delete(struct bm_txn *txn, void *ctx)
{
        if (txn->steps[0].found.there)
                txn->steps[0].action = BM_ACT_DELETE;
        return 0;
}

static int place_dangling(struct bm_repair *rp, const struct bm_misfit *m, bool dry)
{
        struct bm_map *map;
        struct bm_txn txn;
        bm_repair_say(rp, m->map_id, m->key, m->key_len, "lost");
        if (dry)
                return 0;
        int r = bm_map_open(rp->store, m->map_id, &map);
        if (r != 0)
                return r;
        bm_txn_init(&txn, rp->store);
        r = bm_txn_add(&txn, map, m->key, m->key_len, NULL);
        if (r == 0)
                r = bm_txn_run(&txn, fill_delete, NULL);
        bm_txn_deinit(&txn);
        bm_map_close(map);
        return r;
}

static int fill_links(struct bm_txn *txn, void *ctx)
{
        const struct bm_misfit *m = ctx;
        size_t i;
        int r = bm_txn_more_id(txn, txn->store->inodes, m->record_id, &i);
        if (r != 0)
                return r;
        bm_put_again(&txn->steps[i]);
        txn->steps[i].next.links = m->links;
        return 0;
}

static int place_miscounted(struct bm_repair *rp, struct bm_misfit *m, bool dry)
{
        struct bm_txn txn;
        bm_repair_say(rp, 0, NULL, 0, "record %" PRIu64 " has %u names, and says otherwise",
                      m->record_id, m->links);
        if (dry)
                return 0;
        bm_txn_init(&txn, rp->store);
        int r = bm_txn_run(&txn, fill_links, m);
        bm_txn_deinit(&txn);
        return r;
}

static int place_nameless(struct bm_repair *rp, const struct bm_misfit *m, bool dry)
{
        struct put p = {
                .record = bm_name_record(m->record_id), .links_of = m->record_id, .links = 1};
        char name[NAME_ROOM];
        bm_repair_say(rp, 0, NULL, 0, "a value has lost its names and goes to lost+found/#%" PRIu64,
                      m->record_id);
        return dry ? 0 : put_lost(rp, m->record_id, &p, name);
}

static int place_one(struct bm_repair *rp, struct bm_misfit *m, bool dry)
{
        switch (m->what) {
        case BM_HOLED:
                return place_holed(rp, m, dry);
        case BM_NAMELESS:
                return place_nameless(rp, m, dry);
        case BM_HEADLESS:
                return place_headless(rp, m, dry);
        case BM_UNNAMED_MAP:
                return place_map(rp, m, dry);
        case BM_DANGLING:
                return place_dangling(rp, m, dry);
        case BM_MISCOUNTED:
                return place_miscounted(rp, m, dry);
        case BM_UNPATCHED:
        case BM_STRAY_PATCH:
                return bm_repair_place_patch(rp, m, dry);
        }
        return 0;
}

int bm_repair_place(struct bm_repair *rp, bool dry)
{
        int r = 0;
        /* maps first: what lies in them can be moved only when they are there to be walked */
        for (unsigned maps = 2; maps-- > 0;) {
                for (size_t i = 0; i < rp->n && r == 0; i++) {
                        if ((rp->misfits[i].what == BM_UNNAMED_MAP) == (maps == 1))
                                r = place_one(rp, &rp->misfits[i], dry);
                }
        }
        return r;
}
