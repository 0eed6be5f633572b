/* SPDX-License-Identifier: MIT */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum command_type { OPEN, CLOSE, SLICE, END };

struct command {
        enum command_type type;
        struct slice slice;
};

struct child {
        const struct runner *runner;
        const struct load *load;
        void *db;
        bool made; /* it has been open before */
        uint64_t anon_peak;
};

static uint64_t disk_sum;

static int add_size(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        disk_sum += (uint64_t)st->st_blocks * 512;
        return 0;
}

static uint64_t disk_bytes(const char *dir)
{
        disk_sum = 0;
        nftw(dir, add_size, 16, FTW_PHYS);
        return disk_sum;
}

/* A field of /proc/self/status, bytes. */
static uint64_t status_field(const char *name)
{
        FILE *f = fopen("/proc/self/status", "re");
        char line[256];
        uint64_t kib = 0;

        while (f && fgets(line, sizeof(line), f)) {
                if (strncmp(line, name, strlen(name)) == 0)
                        kib = strtoull(line + strlen(name), NULL, 10);
        }
        if (f)
                fclose(f);
        return kib * 1024;
}

static void open_store(struct child *c, struct space *space)
{
        struct setup setup = {
                .dir = c->runner->dir,
                .n_keys = c->load->n_keys,
                .value_max = data_value_max(c->load->workload),
                .durability = c->load->durability,
                .fresh = !c->made,
        };
        uint64_t start = latency_now();

        c->db = c->runner->peer->open(&setup);
        c->made = true;
        space->ns = latency_now() - start;
        space->error = c->db ? 0 : -1;
        space->anon_peak = status_field("RssAnon:");
}

static void close_store(struct child *c, struct space *space)
{
        uint64_t start = latency_now();

        space->error = c->runner->peer->close(c->db);
        space->ns = latency_now() - start;
        space->disk_bytes = disk_bytes(c->runner->dir);
        space->anon_peak = c->anon_peak;
        space->rss_peak = status_field("VmHWM:");
        c->db = NULL;
}

static bool write_all(int fd, const void *buf, size_t len)
{
        return write(fd, buf, len) == (ssize_t)len;
}

static bool read_all(int fd, void *buf, size_t len)
{
        char *at = buf;

        while (len > 0) {
                ssize_t n = read(fd, at, len);

                if (n <= 0)
                        return false;
                at += n;
                len -= (size_t)n;
        }
        return true;
}

static void serve(const struct runner *r, const struct load *load, bool made)
{
        static struct result result;
        struct child child = {.runner = r, .load = load, .made = made};
        struct command command;
        struct space space;

        while (read_all(r->commands, &command, sizeof(command))) {
                uint64_t anon;

                memset(&space, 0, sizeof(space));
                switch (command.type) {
                case OPEN:
                        open_store(&child, &space);
                        break;
                case CLOSE:
                        close_store(&child, &space);
                        break;
                case END:
                        if (child.db)
                                r->peer->close(child.db);
                        return;
                case SLICE:
                        phase_run(r->peer, child.db, load, &command.slice, &result);
                        break;
                }
                anon = status_field("RssAnon:");
                if (anon > child.anon_peak)
                        child.anon_peak = anon;
                if (!(command.type == SLICE ? write_all(r->results, &result, sizeof(result))
                                            : write_all(r->results, &space, sizeof(space))))
                        return;
        }
}

static int start(struct runner *r, const struct load *load, bool made)
{
        int down[2], up[2];

        if (pipe2(down, O_CLOEXEC) != 0 || pipe2(up, O_CLOEXEC) != 0)
                return -errno;
        r->pid = fork();
        if (r->pid < 0)
                return -errno;
        if (r->pid == 0) {
                /* nothing runs on when the benchmark is interrupted */
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                r->commands = down[0];
                r->results = up[1];
                close(down[1]);
                close(up[0]);
                serve(r, load, made);
                _exit(0);
        }
        close(down[0]);
        close(up[1]);
        r->commands = down[1];
        r->results = up[0];
        return 0;
}

int runner_start(struct runner *r, const struct peer *peer, const char *parent_dir,
                 const struct load *load)
{
        r->peer = peer;
        snprintf(r->dir, sizeof(r->dir), "%s/%s", parent_dir, peer->name);
        if (mkdir(r->dir, 0755) != 0)
                return -errno;
        return start(r, load, false);
}

int runner_kill(struct runner *r, const struct load *load)
{
        kill(r->pid, SIGKILL);
        waitpid(r->pid, NULL, 0);
        close(r->commands);
        close(r->results);
        return start(r, load, true);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void runner_stop(struct runner *r)
{
        /* said, as later runners hold copies of the pipe and keep its end from being seen */
        write_all(r->commands, &(struct command){.type = END}, sizeof(struct command));
        close(r->commands);
        close(r->results);
        waitpid(r->pid, NULL, 0);
        nftw(r->dir, remove_entry, 16, FTW_PHYS | FTW_DEPTH);
}

static int ask(struct runner *r, const struct command *command, void *answer, size_t len)
{
        return write_all(r->commands, command, sizeof(*command)) &&
                               read_all(r->results, answer, len)
                       ? 0
                       : -EPIPE;
}

int runner_open(struct runner *r, struct space *space)
{
        int result = ask(r, &(struct command){.type = OPEN}, space, sizeof(*space));

        return result ? result : space->error;
}

int runner_close(struct runner *r, struct space *space)
{
        int result = ask(r, &(struct command){.type = CLOSE}, space, sizeof(*space));

        return result ? result : space->error;
}

void runner_settle(const struct runner *runners, unsigned n)
{
        const struct timespec pause = {.tv_nsec = 100000000};
        uint64_t last = 0;
        unsigned same = 0;

        for (unsigned i = 0; i < 600 && same < 30; i++) {
                uint64_t now = 0;

                for (unsigned k = 0; k < n; k++)
                        now += disk_bytes(runners[k].dir);
                same = now == last ? same + 1 : 0;
                last = now;
                nanosleep(&pause, NULL);
        }
}

int runner_slice(struct runner *r, const struct slice *slice, struct result *result)
{
        int error =
                ask(r, &(struct command){.type = SLICE, .slice = *slice}, result, sizeof(*result));

        return error ? error : result->error;
}
