/* SPDX-License-Identifier: MIT */
#include "explorer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Memory is used as it fills; a table that is nearly full would be slow. */
enum { SLOTS = 1 << 24, SLOTS_MOST = SLOTS / 2 };

struct seen {
        _Atomic uint64_t n;
        _Atomic uint64_t hashes[SLOTS];
};

struct seen *seen_new(void)
{
        void *p = mmap(NULL, sizeof(struct seen), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) {
                perror("mmap");
                exit(99);
        }
        return p;
}

bool seen_add(struct seen *seen, uint64_t hash)
{
        for (uint64_t i = mix64(hash);; i++) {
                uint64_t there = 0;
                if (atomic_compare_exchange_strong(&seen->hashes[i % SLOTS], &there, hash))
                        break;
                if (there == hash)
                        return false;
        }
        if (atomic_fetch_add(&seen->n, 1) > SLOTS_MOST) {
                fprintf(stderr, "too many states\n");
                exit(99);
        }
        return true;
}

size_t seen_count(const struct seen *seen)
{
        return atomic_load(&seen->n);
}

static char base[64], place[80], drives[DRIVES_MAX][96];
static bool shared; /* BASE is for several processes */

static void make_base(void)
{
        snprintf(base, sizeof(base), "%s/bucketmap-crash.XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        if (!mkdtemp(base)) {
                perror(base);
                exit(99);
        }
}

static void set_place(pid_t pid, const char *paths[DRIVES_MAX])
{
        snprintf(place, sizeof(place), "%s/%d", base, (int)pid);
        for (unsigned i = 0; i < DRIVES_MAX; i++) {
                snprintf(drives[i], sizeof(drives[i]), "%s/%u", place, i);
                paths[i] = drives[i];
        }
}

void explorer_init(struct explorer *x, uint64_t seed)
{
        *x = (struct explorer){.seed = seed,
                               .limit = SIZE_MAX,
                               .max_reports = 20,
                               .seen = seen_new(),
                               .only = getenv("BM_STATE")};
        if (!shared)
                make_base();
        set_place(getpid(), x->paths);
        if (mkdir(place, 0700) < 0) {
                perror(place);
                exit(99);
        }
}

void explorer_deinit(struct explorer *x)
{
        remove_store(x->paths, DRIVES_MAX);
        (void)rmdir(place);
        if (!shared)
                (void)rmdir(base);
        munmap(x->seen, sizeof(*x->seen));
}

struct bm_config explorer_config(const struct explorer *x, const struct record_io *io)
{
        struct bm_config config = BM_CONFIG_INIT;
        config.no_background = true;
        config.io = &io->io;
        config.drives = x->paths + 1;
        config.n_drives = io->n_drives - 1;
        return config;
}

void explorers_begin(void)
{
        make_base();
        shared = true;
}

void explorers_child(void)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void explorers_clean(pid_t child)
{
        const char *paths[DRIVES_MAX];
        set_place(child, paths);
        remove_store(paths, DRIVES_MAX);
        (void)rmdir(place);
}

void explorers_end(void)
{
        (void)rmdir(base);
}

bool explorer_done(const struct explorer *x)
{
        return seen_count(x->seen) >= x->limit || x->n_failed >= x->max_reports ||
               (x->stop && atomic_load(x->stop));
}

bool explorer_watches(const struct explorer *x)
{
        return x->only && strcmp(x->state, x->only) == 0;
}

void explorer_report(struct explorer *x)
{
        x->n_failed++;
        printf("# %s\n#   after%s\n#   repeat: BM_SEED=%llu%s%s\n", x->problem,
               x->trail[0] ? x->trail : " work alone", (unsigned long long)x->seed,
               x->state[0] ? " BM_STATE=" : "", x->state);
        fflush(stdout);
}
