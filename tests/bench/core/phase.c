/* SPDX-License-Identifier: MIT */
#include "phase.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

const char *const phase_names[N_PHASES] = {
        [PHASE_INSERT] = "insert",
        [PHASE_HIT] = "hit",
        [PHASE_HIT_MANY] = "hit_many",
        [PHASE_MISS] = "miss",
        [PHASE_SCAN] = "scan",
        [PHASE_REF] = "ref",
        [PHASE_REF_MANY] = "ref_many",
        [PHASE_OVERWRITE_SAME] = "overwrite_same",
        [PHASE_OVERWRITE_OTHER] = "overwrite_other",
        [PHASE_DELETE] = "delete",
};

enum { GROUP = 1000 };

/* One thread's share of a slice. */
struct work {
        const struct peer *peer;
        void *db;
        const struct load *load;
        struct slice slice;
        struct latency latency;
        int error;
        pthread_t thread;
};

struct expected {
        const void *value;
        size_t len;
        bool good;
};

static void compare(void *ctx, const void *value, size_t len, uint64_t count)
{
        struct expected *expected = ctx;

        expected->good =
                len == expected->len && count == 1 && memcmp(value, expected->value, len) == 0;
}

struct many {
        char names[MANY][KEY_MAX];
        struct peer_key keys[MANY];
        struct expected expected[MANY];
        void *ctxs[MANY];
};

static int read_back_many(const struct work *w, void *session, struct many *m, size_t n)
{
        if (peer_get_many(w->peer, session, m->keys, n, compare, m->ctxs) != 0)
                return -1;
        for (size_t i = 0; i < n; i++) {
                if (!m->expected[i].good)
                        return -1;
        }
        return 0;
}

/* Up to MANY keys from the NUMBER-th of the walk on. */
static int operation_on_many(const struct work *w, void *session, uint64_t number, size_t n)
{
        struct many m;

        for (size_t k = 0; k < n; k++) {
                uint64_t i = data_shuffled(number + k, w->load->n_keys, w->slice.phase);

                m.keys[k] = (struct peer_key){m.names[k], data_key(i, m.names[k])};
                m.expected[k] = (struct expected){0};
                m.expected[k].value = data_value(w->load->workload, i, 0, &m.expected[k].len);
                m.ctxs[k] = &m.expected[k];
        }
        return w->slice.phase == PHASE_HIT_MANY ? read_back_many(w, session, &m, n)
                                                : peer_ref_many(w->peer, session, m.keys, n);
}

static int read_back(const struct work *w, void *session, uint64_t i, const char *key,
                     size_t key_len)
{
        struct expected expected = {0};

        expected.value = data_value(w->load->workload, i, 0, &expected.len);
        return w->peer->get(session, key, key_len, compare, &expected) == 1 && expected.good ? 0
                                                                                             : -1;
}

static int write_value(const struct work *w, void *session, uint64_t i, unsigned version,
                       const char *key, size_t key_len)
{
        size_t len;
        const void *value = data_value(w->load->workload, i, version, &len);

        return w->peer->insert(session, key, key_len, value, len, 1);
}

static int operation(const struct work *w, void *session, uint64_t number)
{
        const struct peer *peer = w->peer;
        uint64_t n = w->load->n_keys, i;
        char key[KEY_MAX];
        size_t key_len;

        i = w->slice.phase == PHASE_INSERT ? number : data_shuffled(number, n, w->slice.phase);
        key_len = data_key(w->slice.phase == PHASE_MISS ? i + n : i, key);
        switch (w->slice.phase) {
        case PHASE_INSERT:
                return write_value(w, session, i, 0, key, key_len);
        case PHASE_HIT:
                return read_back(w, session, i, key, key_len);
        case PHASE_MISS:
                return peer->get(session, key, key_len, compare, &(struct expected){0}) == 0 ? 0
                                                                                             : -1;
        case PHASE_REF:
                return peer->ref(session, key, key_len);
        case PHASE_OVERWRITE_SAME:
                return write_value(w, session, i, 1, key, key_len);
        case PHASE_OVERWRITE_OTHER:
                return write_value(w, session, i, 2, key, key_len);
        case PHASE_DELETE:
                return peer->del(session, key, key_len) == 1 ? 0 : -1;
        case PHASE_HIT_MANY:
        case PHASE_REF_MANY:
        case PHASE_SCAN:
        case N_PHASES:
                break;
        }
        return -1;
}

static bool writes(enum phase phase)
{
        return phase != PHASE_HIT && phase != PHASE_HIT_MANY && phase != PHASE_MISS &&
               phase != PHASE_SCAN;
}

/* Keys of one operation, of LEFT that the slice has still. */
static uint64_t step(enum phase phase, uint64_t left)
{
        uint64_t n = phase == PHASE_HIT_MANY || phase == PHASE_REF_MANY ? MANY : 1;

        return n < left ? n : left;
}

/* The syncs belong to the operation that they follow, and so to its latency. */
static int settle(const struct work *w, void *session, uint64_t done)
{
        if (!writes(w->slice.phase) || w->load->durability == UNSYNCED)
                return 0;
        if (w->load->durability == GROUPED && done % GROUP != 0)
                return 0;
        return w->peer->sync(session);
}

struct scanned {
        uint64_t n, bytes;
};

static void count_item(void *ctx, const void *value, size_t len, uint64_t count)
{
        struct scanned *scanned = ctx;
        const char *bytes = value;

        scanned->n++;
        /* touched, a cache line at a time */
        for (size_t i = 0; i < len; i += 64)
                scanned->bytes += (unsigned char)bytes[i];
}

static int scan(const struct work *w, void *session)
{
        struct scanned scanned = {0};

        return w->peer->scan(session, count_item, &scanned) == 0 && scanned.n == w->slice.n ? 0
                                                                                            : -1;
}

static void *run(void *arg)
{
        struct work *w = arg;
        void *session = w->peer->attach(w->db);
        uint64_t before = latency_now();

        w->error = session ? 0 : -1;
        if (w->error == 0 && w->slice.phase == PHASE_SCAN) {
                w->error = scan(w, session);
                latency_add(&w->latency, latency_now() - before);
        } else {
                for (uint64_t i = 0, n; i < w->slice.n && w->error == 0; i += n) {
                        uint64_t now;

                        n = step(w->slice.phase, w->slice.n - i);
                        w->error = n == 1 ? operation(w, session, w->slice.first + i)
                                          : operation_on_many(w, session, w->slice.first + i, n);
                        if (w->error == 0)
                                w->error = settle(w, session, i + n);
                        now = latency_now();
                        latency_add(&w->latency, now - before);
                        before = now;
                }
        }
        if (session && w->peer->detach(session) != 0)
                w->error = -1;
        return NULL;
}

static uint64_t process_cpu(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

enum { THREADS_MAX = 2 };

void phase_run(const struct peer *peer, void *db, const struct load *load,
               const struct slice *slice, struct result *result)
{
        static struct work work[THREADS_MAX];
        unsigned threads = slice->phase == PHASE_SCAN ? 1 : load->threads;
        uint64_t share = slice->n / threads, wall, cpu;

        memset(result, 0, sizeof(*result));
        for (unsigned t = 0; t < threads; t++) {
                work[t] = (struct work){
                        .peer = peer,
                        .db = db,
                        .load = load,
                        .slice = {slice->phase, slice->first + t * share,
                                  t == threads - 1 ? slice->n - t * share : share},
                };
        }
        wall = latency_now();
        cpu = process_cpu();
        for (unsigned t = 1; t < threads; t++)
                pthread_create(&work[t].thread, NULL, run, &work[t]);
        run(&work[0]);
        for (unsigned t = 1; t < threads; t++)
                pthread_join(work[t].thread, NULL);
        result->wall_ns = latency_now() - wall;
        result->cpu_ns = process_cpu() - cpu;
        for (unsigned t = 0; t < threads; t++) {
                latency_merge(&result->latency, &work[t].latency);
                if (work[t].error != 0)
                        result->error = -1;
        }
}
