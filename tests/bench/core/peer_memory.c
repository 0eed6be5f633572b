/* SPDX-License-Identifier: MIT */
/*
 * The floor: a hash table in memory that does nothing but find. No file, no
 * lock, no checksum, no word of who wrote what; what is replaced by something
 * longer or deleted is not used again. Each operation waits for the line with
 * the slot and then for that with the record, as it does in any store that
 * finds records by an index: who looks up one key after the other is no
 * faster on this machine.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <xxhash.h>

#include "peer.h"

enum {
        UNIT = 8,            /* bytes: records begin at multiples */
        KEY_MOST = 40,       /* bytes of a key */
        GENERATIONS = 3,     /* of each value there is room for */
        HUGE_PAGE = 2 << 20, /* bytes */
};

struct slot {
        uint32_t tag;
        uint32_t at; /* of the record, in units; 0: never used */
};

static const uint32_t gone = UINT32_MAX;

struct record {
        uint64_t count;
        uint32_t len, room; /* of the value, bytes */
        uint32_t key_len;
        char key[];
};

struct table {
        struct slot *slots;
        size_t n_slots; /* a power of two, half as many keys at most */
        char *records;
        size_t used, size; /* bytes of records */
};

/* Outlives its closing, as a file does. */
static struct table *table;

static void *map_huge(size_t size)
{
        void *at = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (at == MAP_FAILED)
                return NULL;
        at = (void *)(((uintptr_t)at + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
        madvise(at, size, MADV_HUGEPAGE);
        return at;
}

static void *memory_open(const struct setup *setup)
{
        if (table)
                return table;
        table = calloc(1, sizeof(*table));
        if (!table)
                return NULL;
        table->n_slots = 64;
        while (table->n_slots < 2 * setup->n_keys)
                table->n_slots *= 2;
        table->size = setup->n_keys * GENERATIONS *
                      (sizeof(struct record) + KEY_MOST + setup->value_max + UNIT);
        table->slots = map_huge(table->n_slots * sizeof(struct slot));
        table->records = map_huge(table->size);
        table->used = UNIT;
        return table->slots && table->records ? table : NULL;
}

static int memory_close(void *db)
{
        return 0;
}

static void *memory_attach(void *db)
{
        return db;
}

static int memory_detach(void *session)
{
        return 0;
}

static struct record *record_at(const struct table *t, uint32_t at)
{
        return (struct record *)(t->records + (size_t)at * UNIT);
}

/* The key's slot, or the free one where it would go. */
static struct slot *find(const struct table *t, const void *key, size_t key_len)
{
        uint64_t hash = XXH3_64bits(key, key_len);
        size_t i = hash & (t->n_slots - 1);

        for (;; i = (i + 1) & (t->n_slots - 1)) {
                struct slot *slot = &t->slots[i];
                const struct record *record;

                if (slot->at == 0) {
                        slot->tag = (uint32_t)(hash >> 32);
                        return slot;
                }
                if (slot->tag != (uint32_t)(hash >> 32) || slot->at == gone)
                        continue;
                record = record_at(t, slot->at);
                if (record->key_len == key_len && memcmp(record->key, key, key_len) == 0)
                        return slot;
        }
}

static int memory_insert(void *session, const void *key, size_t key_len, const void *value,
                         size_t len, uint64_t count)
{
        struct table *t = session;
        struct slot *slot = find(t, key, key_len);
        struct record *record = slot->at ? record_at(t, slot->at) : NULL;

        if (!record || record->room < len) {
                size_t bytes = (sizeof(*record) + key_len + len + UNIT - 1) & ~(size_t)(UNIT - 1);

                if (t->used + bytes > t->size)
                        return -1;
                slot->at = (uint32_t)(t->used / UNIT);
                record = record_at(t, slot->at);
                t->used += bytes;
                record->key_len = (uint32_t)key_len;
                record->room = (uint32_t)len;
                memcpy(record->key, key, key_len);
        }
        record->count = count;
        record->len = (uint32_t)len;
        memcpy(record->key + key_len, value, len);
        return 0;
}

static void show(const struct record *record, look_fn look, void *ctx)
{
        look(ctx, record->key + record->key_len, record->len, record->count);
}

static int memory_get(void *session, const void *key, size_t key_len, look_fn look, void *ctx)
{
        struct slot *slot = find(session, key, key_len);

        if (!slot->at)
                return 0;
        show(record_at(session, slot->at), look, ctx);
        return 1;
}

static int memory_ref(void *session, const void *key, size_t key_len)
{
        struct slot *slot = find(session, key, key_len);

        if (!slot->at)
                return -1;
        record_at(session, slot->at)->count++;
        return 0;
}

static int memory_del(void *session, const void *key, size_t key_len)
{
        struct slot *slot = find(session, key, key_len);

        if (!slot->at)
                return 0;
        slot->at = gone;
        return 1;
}

static int memory_scan(void *session, look_fn look, void *ctx)
{
        const struct table *t = session;

        for (size_t i = 0; i < t->n_slots; i++)
                if (t->slots[i].at && t->slots[i].at != gone)
                        show(record_at(t, t->slots[i].at), look, ctx);
        return 0;
}

static int memory_sync(void *session)
{
        return 0;
}

const struct peer peer_memory = {
        .name = "memory",
        .settings = "no store but the floor: a hash table in huge pages that finds and does "
                    "nothing else",
        .floor = true,
        .open = memory_open,
        .close = memory_close,
        .attach = memory_attach,
        .detach = memory_detach,
        .insert = memory_insert,
        .get = memory_get,
        .ref = memory_ref,
        .del = memory_del,
        .scan = memory_scan,
        .sync = memory_sync,
};
