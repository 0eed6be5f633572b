/* SPDX-License-Identifier: MIT */
/*
 * usage: kill-load BUCKETMAP STORE DIR KILLS [SEED]
 * Mounts STORE at DIR again and again; four processes work in it, each in a
 * directory of its own and all on the count of one file, until the daemon is
 * killed with SIGKILL at a random moment. The next mount must show what every
 * call that returned had done, of each process at most the call under way
 * besides, and nothing else.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { WORKERS = 4, KEYS = 12, PAGE = 4096, SIZE_MOST = 10 * PAGE, CALLS_MOST = 300, NAME = 300 };

#define COUNT  "user.bucketmap.refcount"
#define SHARED "shared"

/* One worker's directory, as it ought to be. */
struct own {
        uint64_t rng;
        struct file {
                bool there;
                uint64_t count;
                uint32_t size;
                uint8_t bytes[SIZE_MOST];
        } files[KEYS];
};

enum kind {
        ACT_PUT,
        ACT_REMOVE,
        ACT_COUNT,
        ACT_WRITE,
        ACT_TRUNCATE,
        ACT_RENAME,
        ACT_EXCHANGE,
        ACT_ADDREF
};

struct action {
        enum kind kind;
        unsigned key, other;
        uint64_t seed, count;
        uint32_t at, size;
};

/* Shared with the workers. */
static struct progress {
        _Atomic uint64_t done[WORKERS];    /* actions that returned */
        _Atomic uint64_t addrefs[WORKERS]; /* of SHARED, among them */
        _Atomic uint64_t calls;            /* of all */
        _Atomic bool killed;
} * progress;

static struct own owns[WORKERS], next;
static const char *bucketmap, *store, *dir;

static void fail(const char *what)
{
        fprintf(stderr, "kill-load: %s: %s\n", what, strerror(errno));
        exit(1);
}

static uint64_t mix(uint64_t x)
{
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

static uint64_t below(uint64_t *rng, uint64_t n)
{
        return mix(*rng += UINT64_C(0x9e3779b97f4a7c15)) % n;
}

static void fill(uint8_t *bytes, uint32_t n, uint64_t seed)
{
        for (uint32_t i = 0; i < n; i++) {
                if (i % 8 == 0)
                        seed = mix(seed + 1);
                bytes[i] = (uint8_t)(seed >> i % 8 * 8);
        }
}

/* What comes next follows from OWN alone, so it can be done again without files. */
static struct action next_action(struct own *own)
{
        struct action a = {.kind = (enum kind)below(&own->rng, ACT_ADDREF + 1)};
        a.key = (unsigned)below(&own->rng, KEYS);
        a.other = (unsigned)below(&own->rng, KEYS);
        a.seed = below(&own->rng, UINT64_MAX);
        a.count = 2 + below(&own->rng, UINT64_C(1) << 40);
        a.size = (uint32_t)below(&own->rng, below(&own->rng, 4) ? 3000 : SIZE_MOST);
        /* within a page, so that it is one request */
        a.at = (uint32_t)below(&own->rng, SIZE_MOST / PAGE) * PAGE;
        if (a.kind == ACT_WRITE)
                a.size = a.size % PAGE + 1;
        if (a.kind == ACT_ADDREF)
                return a;
        if (!own->files[a.key].there)
                a.kind = ACT_PUT;
        if (a.kind == ACT_RENAME && a.key == a.other)
                a.kind = ACT_REMOVE;
        if (a.kind == ACT_EXCHANGE && (a.key == a.other || !own->files[a.other].there))
                a.kind = ACT_COUNT;
        return a;
}

static void write_into(struct file *f, uint32_t at, uint32_t size, uint64_t seed)
{
        if (at > f->size)
                memset(f->bytes + f->size, 0, at - f->size);
        fill(f->bytes + at, size, seed);
        if (at + size > f->size)
                f->size = at + size;
}

static void act_on_model(struct own *own, const struct action *a)
{
        struct file *f = &own->files[a->key], *o = &own->files[a->other];
        static struct file swap;
        switch (a->kind) {
        case ACT_PUT: /* over a file that is there, whose count stays */
                if (!f->there)
                        f->count = 1;
                f->there = true;
                f->size = 0;
                write_into(f, 0, a->size, a->seed);
                break;
        case ACT_REMOVE:
                f->there = false;
                break;
        case ACT_COUNT:
                f->count = a->count;
                break;
        case ACT_WRITE:
                write_into(f, a->at, a->size, a->seed);
                break;
        case ACT_TRUNCATE:
                if (a->size > f->size)
                        memset(f->bytes + f->size, 0, a->size - f->size);
                f->size = a->size;
                break;
        case ACT_RENAME: /* over another the result has the source's count if that is not 1 */
                if (o->there && f->count == 1)
                        f->count = o->count;
                *o = *f;
                f->there = false;
                break;
        case ACT_EXCHANGE:
                swap = *f;
                *f = *o;
                *o = swap;
                break;
        case ACT_ADDREF:
                break;
        }
}

static void path_of(unsigned worker, unsigned key, char path[NAME])
{
        snprintf(path, NAME, "%s/w%u/k%u", dir, worker, key);
}

static int put(unsigned worker, const char *path, const struct action *a)
{
        static uint8_t bytes[SIZE_MOST];
        char made[NAME];
        snprintf(made, sizeof(made), "%s/w%u/new", dir, worker);
        int fd = open(made, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (fd < 0)
                return -1;
        fill(bytes, a->size, a->seed);
        bool ok = write(fd, bytes, a->size) == (ssize_t)a->size;
        if (a->seed % 8 == 0)
                ok = ok && fsync(fd) == 0;
        return close(fd) == 0 && ok ? rename(made, path) : -1;
}

static int write_at(const char *path, const struct action *a)
{
        uint8_t bytes[PAGE];
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -1;
        fill(bytes, a->size, a->seed);
        bool ok = pwrite(fd, bytes, a->size, a->at) == (ssize_t)a->size;
        /* it counts as done when the write has returned; closing changes nothing */
        (void)close(fd);
        return ok ? 0 : -1;
}

static int set_count(const char *path, uint64_t count)
{
        char text[24];
        int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
        return setxattr(path, COUNT, text, (size_t)n, 0);
}

static int act_on_files(unsigned worker, const struct action *a)
{
        char path[NAME], other[NAME];
        path_of(worker, a->key, path);
        path_of(worker, a->other, other);
        switch (a->kind) {
        case ACT_PUT:
                return put(worker, path, a);
        case ACT_REMOVE:
                return unlink(path);
        case ACT_COUNT:
                return set_count(path, a->count);
        case ACT_WRITE:
                return write_at(path, a);
        case ACT_TRUNCATE:
                return truncate(path, a->size);
        case ACT_RENAME:
                return rename(path, other);
        case ACT_EXCHANGE:
                return renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE);
        case ACT_ADDREF:
                snprintf(path, sizeof(path), "%s/" SHARED, dir);
                return setxattr(path, COUNT, "+1", 2, 0);
        }
        return -1;
}

static void work(unsigned worker, uint64_t target, int reached)
{
        struct own *own = &owns[worker];
        for (;;) {
                struct action a = next_action(own);
                if (act_on_files(worker, &a) != 0) {
                        if (atomic_load(&progress->killed))
                                _exit(0);
                        fprintf(stderr, "kill-load: worker %u, action %d: %s\n", worker, a.kind,
                                strerror(errno));
                        _exit(1);
                }
                act_on_model(own, &a);
                if (a.kind == ACT_ADDREF)
                        atomic_fetch_add(&progress->addrefs[worker], 1);
                atomic_fetch_add(&progress->done[worker], 1);
                if (atomic_fetch_add(&progress->calls, 1) + 1 == target &&
                    eventfd_write(reached, 1) != 0)
                        _exit(1);
        }
}

/* Judging */

static bool is_same_file(const char *path, const struct file *f)
{
        static uint8_t bytes[SIZE_MOST + 1];
        char count[24] = "";
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return !f->there && errno == ENOENT;
        ssize_t n = read(fd, bytes, sizeof(bytes));
        bool same = f->there && n == (ssize_t)f->size && memcmp(bytes, f->bytes, f->size) == 0;
        same = same && fgetxattr(fd, COUNT, count, sizeof(count) - 1) > 0 &&
               strtoull(count, NULL, 10) == f->count;
        close(fd);
        return same;
}

static unsigned n_listed(unsigned worker)
{
        char path[NAME];
        struct dirent *e;
        unsigned n = 0;
        snprintf(path, sizeof(path), "%s/w%u", dir, worker);
        DIR *d = opendir(path);
        while (d && (e = readdir(d)))
                n += e->d_name[0] == 'k';
        if (d)
                closedir(d);
        return n;
}

static bool is_same(unsigned worker, const struct own *own)
{
        unsigned n = 0;
        for (unsigned i = 0; i < KEYS; i++) {
                char path[NAME];
                path_of(worker, i, path);
                if (!is_same_file(path, &own->files[i]))
                        return false;
                n += own->files[i].there;
        }
        return n_listed(worker) == n;
}

/* As after what returned, or after the action under way too. */
static bool settle(unsigned worker, bool *adding)
{
        struct own *own = &owns[worker];
        uint64_t done = atomic_load(&progress->done[worker]);
        for (uint64_t i = 0; i < done; i++) {
                struct action a = next_action(own);
                act_on_model(own, &a);
        }
        next = *own;
        struct action a = next_action(&next);
        *adding = a.kind == ACT_ADDREF;
        if (is_same(worker, own))
                return true;
        act_on_model(&next, &a);
        *own = next;
        return is_same(worker, own);
}

static uint64_t shared_count(void)
{
        char path[NAME], count[24] = "";
        snprintf(path, sizeof(path), "%s/" SHARED, dir);
        if (getxattr(path, COUNT, count, sizeof(count) - 1) <= 0)
                fail("the shared file's count");
        return strtoull(count, NULL, 10);
}

/* *SHARED_NOW: the count of the shared file before and after. */
static bool judge(uint64_t *shared_now)
{
        uint64_t least = *shared_now, most, now = shared_count();
        bool ok = true, adding;
        for (unsigned i = 0; i < WORKERS; i++)
                least += atomic_load(&progress->addrefs[i]);
        most = least;
        for (unsigned i = 0; i < WORKERS; i++) {
                if (!settle(i, &adding)) {
                        fprintf(stderr,
                                "kill-load: worker %u: not as after %llu actions or one more\n", i,
                                (unsigned long long)atomic_load(&progress->done[i]));
                        ok = false;
                }
                most += adding;
        }
        if (now < least || now > most) {
                fprintf(stderr, "kill-load: a shared count of %llu, not %llu to %llu\n",
                        (unsigned long long)now, (unsigned long long)least,
                        (unsigned long long)most);
                ok = false;
        }
        *shared_now = now;
        return ok;
}

/* Lives */

static void mount_store(void)
{
        int status = 0, null = open("/dev/null", O_RDWR | O_CLOEXEC);
        pid_t pid = fork();
        if (pid == 0) {
                dup2(null, STDIN_FILENO);
                dup2(null, STDERR_FILENO); /* says that a dead mount was in the way */
                execl(bucketmap, bucketmap, "mount", store, dir, (char *)NULL);
                _exit(127);
        }
        if (pid < 0 || null < 0 || waitpid(pid, &status, 0) != pid)
                fail("mount");
        close(null);
        if (status != 0) {
                fprintf(stderr, "kill-load: mount: status %d\n", status);
                exit(1);
        }
}

/* Kills the daemon and sees its end. */
static void kill_daemon(void)
{
        char path[NAME];
        int pid = 0;
        snprintf(path, sizeof(path), "%s/lock", store);
        FILE *f = fopen(path, "re");
        if (!f || fscanf(f, "%d", &pid) != 1 || pid <= 1)
                fail(path);
        fclose(f);
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd end = {.fd = fd, .events = POLLIN};
        atomic_store(&progress->killed, true);
        if (fd < 0 || kill(pid, SIGKILL) != 0)
                fail("kill");
        while (poll(&end, 1, -1) < 0 && errno == EINTR)
                ;
        close(fd);
}

static bool one_life(uint64_t target)
{
        pid_t pids[WORKERS];
        eventfd_t value;
        int reached = eventfd(0, EFD_CLOEXEC);
        bool ok = true;
        memset(progress, 0, sizeof(*progress));
        for (unsigned i = 0; i < WORKERS; i++) {
                pids[i] = fork();
                if (pids[i] == 0)
                        work(i, target, reached);
                if (pids[i] < 0)
                        fail("fork");
        }
        if (reached < 0 || eventfd_read(reached, &value) != 0)
                fail("eventfd");
        kill_daemon();
        close(reached);
        for (unsigned i = 0; i < WORKERS; i++) {
                int status;
                if (waitpid(pids[i], &status, 0) != pids[i] || status != 0)
                        ok = false;
        }
        return ok;
}

static void make_places(void)
{
        char path[NAME];
        for (unsigned i = 0; i < WORKERS; i++) {
                snprintf(path, sizeof(path), "%s/w%u", dir, i);
                if (mkdir(path, 0700) != 0)
                        fail(path);
        }
        snprintf(path, sizeof(path), "%s/" SHARED, dir);
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || close(fd) != 0 || set_count(path, 1000) != 0)
                fail(path);
}

int main(int argc, char **argv)
{
        if (argc < 5) {
                fprintf(stderr, "usage: kill-load BUCKETMAP STORE DIR KILLS [SEED]\n");
                return 2;
        }
        bucketmap = argv[1];
        store = argv[2];
        dir = argv[3];
        unsigned kills = (unsigned)strtoul(argv[4], NULL, 10), k;
        uint64_t seed = argc > 5 ? strtoull(argv[5], NULL, 0) : 1, rng = mix(seed), shared = 1000;
        bool ok = true;
        progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                        -1, 0);
        if (progress == MAP_FAILED)
                fail("mmap");
        for (unsigned i = 0; i < WORKERS; i++)
                owns[i].rng = below(&rng, UINT64_MAX);
        mount_store();
        make_places();
        for (k = 0; k < kills && ok; k++) {
                uint64_t target = 1 + below(&rng, CALLS_MOST);
                ok = one_life(target);
                mount_store();
                ok = judge(&shared) && ok;
                if (!ok)
                        fprintf(stderr, "kill-load: kill %u after %llu calls, seed %llu\n", k,
                                (unsigned long long)target, (unsigned long long)seed);
        }
        printf("%u kills, the shared count is %llu\n", k, (unsigned long long)shared);
        return ok ? 0 : 1;
}
