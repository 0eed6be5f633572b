/* SPDX-License-Identifier: MIT */
/*
 * Compares libbucketmap with other stores on one load. scripts/bench core
 * runs it over several loads and makes the tables.
 */
#include <argp.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"

enum { PEERS_MAX = 16, SLICES = 8, SLICES_PLOTTED = 40 };

struct options {
        struct load load;
        const char *peers; /* NULL: all */
        const char *json;
        const char *dir;
        bool insert_only;
        bool reopen;
        bool plotted;
};

static const struct argp_option option_list[] = {
        {"keys", 'n', "N", 0, "number of keys (default 1000000)", 0},
        {"workload", 'w', "small|kib|files", 0,
         "sizes of the values (default small: 0 to 100 bytes)", 0},
        {"threads", 't', "1|2", 0, "threads that work at the same time (default 1)", 0},
        {"sync", 's', "none|1000|each", 0, "writes made durable: never, by the thousand, each", 0},
        {"insert-only", 'i', NULL, 0, "only the phase insert", 0},
        {"plotted", 'l', NULL, 0, "latencies of insert over its course, too", 0},
        {"reopen", 'r', NULL, 0, "only insert, then open: after a close, a kill, a power cut", 0},
        {"peers", 'p', "NAME,...", 0, "only these stores", 0},
        {"dir", 'd', "DIR", 0, "where the stores are made (default $TMPDIR or /var/tmp)", 0},
        {"json", 'j', "FILE", 0, "write the figures there", 0},
        {0},
};

static unsigned choose(struct argp_state *state, const char *arg, const char *const names[])
{
        for (unsigned i = 0; names[i]; i++) {
                if (strcmp(arg, names[i]) == 0)
                        return i;
        }
        argp_error(state, "%s: not known", arg);
        return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
        struct options *o = state->input;
        char *end;

        switch (key) {
        case 'n':
                o->load.n_keys = strtoull(arg, &end, 10);
                if (*end != '\0' || o->load.n_keys < 1000)
                        argp_error(state, "%s: not a number of keys, 1000 at least", arg);
                return 0;
        case 'w':
                o->load.workload =
                        choose(state, arg, (const char *const[]){"small", "kib", "files", NULL});
                return 0;
        case 't':
                o->load.threads = 1 + choose(state, arg, (const char *const[]){"1", "2", NULL});
                return 0;
        case 's':
                o->load.durability =
                        choose(state, arg, (const char *const[]){"none", "1000", "each", NULL});
                return 0;
        case 'i':
                o->insert_only = true;
                return 0;
        case 'r':
                o->reopen = true;
                return 0;
        case 'l':
                o->plotted = true;
                return 0;
        case 'p':
                o->peers = arg;
                return 0;
        case 'd':
                o->dir = arg;
                return 0;
        case 'j':
                o->json = arg;
                return 0;
        default:
                return ARGP_ERR_UNKNOWN;
        }
}

/* Whether NAME is among the words of LIST. */
static bool listed(const char *list, const char *name)
{
        size_t len = strlen(name);

        if (!list)
                return true;
        for (const char *at = list; (at = strstr(at, name)); at += len) {
                if ((at == list || at[-1] == ',') && (at[len] == ',' || at[len] == '\0'))
                        return true;
        }
        return false;
}

/* The floor makes nothing durable. */
static bool takes_part(const struct options *o, const struct peer *peer)
{
        if (peer->floor && (o->reopen || o->load.durability != UNSYNCED))
                return false;
        return listed(o->peers, peer->name) && (o->load.threads == 1 || peer->threads);
}

struct bench {
        struct options options;
        struct runner runners[PEERS_MAX];
        unsigned n;
        json_t *report;
        uint64_t logical[2]; /* bytes of keys, values and counts: loaded, overwritten */
};

static void fail(const struct runner *r, const char *what)
{
        fprintf(stderr, "bench-core: %s: %s failed\n", r->peer->name, what);
        exit(1);
}

static int by_value(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static json_t *object_in(json_t *parent, const char *name)
{
        json_t *object = json_object_get(parent, name);

        if (!object) {
                object = json_object();
                json_object_set_new(parent, name, object);
        }
        return object;
}

static void report_phase(struct bench *b, enum phase phase, const struct runner *r,
                         const struct result *sum, double median)
{
        json_t *o = object_in(object_in(b->report, phase_names[phase]), r->peer->name);
        double n = (double)b->options.load.n_keys;

        json_object_set_new(o, "ops_per_s", json_real(median));
        json_object_set_new(o, "cpu_us_per_op", json_real((double)sum->cpu_ns / n / 1e3));
        if (phase != PHASE_SCAN) {
                const struct latency *l = &sum->latency;

                json_object_set_new(o, "p50_us", json_real((double)latency_quantile(l, 0.5) / 1e3));
                json_object_set_new(o, "p99_us",
                                    json_real((double)latency_quantile(l, 0.99) / 1e3));
                json_object_set_new(o, "p9999_us",
                                    json_real((double)latency_quantile(l, 0.9999) / 1e3));
                json_object_set_new(o, "max_us", json_real((double)l->max_ns / 1e3));
        }
        fprintf(stderr, "%-16s %-13s %10.0f/s  %7.3f us CPU  p99.99 %9.1f us  max %9.1f us\n",
                phase_names[phase], r->peer->name, median, (double)sum->cpu_ns / n / 1e3,
                (double)latency_quantile(&sum->latency, 0.9999) / 1e3,
                (double)sum->latency.max_ns / 1e3);
}

/* One point of the curve of latencies over the keys that there are. */
static void report_point(struct bench *b, enum phase phase, const struct runner *r,
                         const struct slice *slice, const struct latency *l)
{
        json_t *o = object_in(object_in(b->report, phase_names[phase]), r->peer->name);
        json_t *points = json_object_get(o, "course"), *point = json_object();

        if (!points) {
                points = json_array();
                json_object_set_new(o, "course", points);
        }
        json_object_set_new(point, "keys", json_integer((json_int_t)(slice->first + slice->n)));
        json_object_set_new(point, "p50_us", json_real((double)latency_quantile(l, 0.5) / 1e3));
        json_object_set_new(point, "p9999_us",
                            json_real((double)latency_quantile(l, 0.9999) / 1e3));
        json_object_set_new(point, "max_us", json_real((double)l->max_ns / 1e3));
        json_array_append_new(points, point);
}

/* All stores in turns, another one first each time; the rate is the median over the slices. */
static void run_phase(struct bench *b, enum phase phase)
{
        static struct result sums[PEERS_MAX], result;
        static double rates[PEERS_MAX][SLICES_PLOTTED];
        uint64_t n = b->options.load.n_keys;
        bool plotted = b->options.plotted && phase == PHASE_INSERT;
        unsigned slices = phase == PHASE_SCAN ? 1 : plotted ? SLICES_PLOTTED : SLICES;

        memset(sums, 0, sizeof(sums));
        for (unsigned s = 0; s < slices; s++) {
                struct slice slice = {phase, n * s / slices, n * (s + 1) / slices - n * s / slices};

                for (unsigned turn = 0; turn < b->n; turn++) {
                        unsigned i = (turn + s) % b->n;

                        if (runner_slice(&b->runners[i], &slice, &result) != 0)
                                fail(&b->runners[i], phase_names[phase]);
                        rates[i][s] = (double)slice.n * 1e9 / (double)result.wall_ns;
                        sums[i].wall_ns += result.wall_ns;
                        sums[i].cpu_ns += result.cpu_ns;
                        latency_merge(&sums[i].latency, &result.latency);
                        if (plotted)
                                report_point(b, phase, &b->runners[i], &slice, &result.latency);
                }
        }
        for (unsigned i = 0; i < b->n; i++) {
                qsort(rates[i], slices, sizeof(double), by_value);
                report_phase(b, phase, &b->runners[i], &sums[i],
                             (rates[i][slices / 2] + rates[i][(slices - 1) / 2]) / 2);
        }
}

static void open_all(struct bench *b, const char *name)
{
        struct space space;

        for (unsigned i = 0; i < b->n; i++) {
                if (runner_open(&b->runners[i], &space) != 0)
                        fail(&b->runners[i], "opening");
                if (name)
                        json_object_set_new(
                                object_in(object_in(b->report, name), b->runners[i].peer->name),
                                "open_ms", json_real((double)space.ns / 1e6));
        }
}

static void close_all(struct bench *b, const char *name, uint64_t logical, bool settled)
{
        struct space space;

        if (settled)
                runner_settle(b->runners, b->n);
        for (unsigned i = 0; i < b->n; i++) {
                json_t *o = object_in(object_in(b->report, name), b->runners[i].peer->name);

                if (runner_close(&b->runners[i], &space) != 0)
                        fail(&b->runners[i], "closing");
                json_object_set_new(o, "disk_bytes", json_integer((json_int_t)space.disk_bytes));
                json_object_set_new(o, "disk_over_logical",
                                    json_real((double)space.disk_bytes / (double)logical));
                json_object_set_new(o, "close_ms", json_real((double)space.ns / 1e6));
                json_object_set_new(o, "anon_peak_bytes",
                                    json_integer((json_int_t)space.anon_peak));
                json_object_set_new(o, "rss_peak_bytes", json_integer((json_int_t)space.rss_peak));
                fprintf(stderr,
                        "%-16s %-13s %6.2f x the logical bytes on disk, %5.0f MB anonymous\n", name,
                        b->runners[i].peer->name, (double)space.disk_bytes / (double)logical,
                        (double)space.anon_peak / 1e6);
        }
}

static double opened_ms(struct runner *r, const char *when, json_t *o)
{
        struct space space;
        char name[64];

        if (runner_open(r, &space) != 0)
                fail(r, "opening");
        snprintf(name, sizeof(name), "%s_open_ms", when);
        json_object_set_new(o, name, json_real((double)space.ns / 1e6));
        snprintf(name, sizeof(name), "%s_anon_bytes", when);
        json_object_set_new(o, name, json_integer((json_int_t)space.anon_peak));
        return (double)space.ns / 1e6;
}

/* What power-cut, which stands beside this program, does to a store that nobody has open. */
static int cut_power(const char *dir)
{
        char program[4096] = "", *argv[] = {program, (char *)(uintptr_t)dir, NULL};
        ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - sizeof("power-cut"));
        int status;
        pid_t pid;

        if (n < 0)
                return -errno;
        program[n] = 0;
        strcpy(strrchr(program, '/') + 1, "power-cut");
        int error = posix_spawn(&pid, program, NULL, NULL, argv, environ);
        if (error)
                return -error;
        return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -EIO;
}

/* Overwrites all once more before the kill, so that there is something to recover. */
static double opened_after_accident(struct bench *b, struct runner *r, bool power_cut, json_t *o)
{
        static struct result result;
        const struct slice all = {PHASE_INSERT, 0, b->options.load.n_keys};

        if (runner_slice(r, &all, &result) != 0 || runner_kill(r, &b->options.load) != 0)
                fail(r, "overwriting");
        if (power_cut && cut_power(r->dir) != 0)
                fail(r, "cutting the power");
        return opened_ms(r, power_cut ? "cut" : "killed", o);
}

/*
 * Ours must have all keys after a kill, and after a power cut too, for what is overwritten had been
 * durable. Not so many peers promise that.
 */
static void run_reopen(struct bench *b)
{
        static struct result result;
        const struct slice all = {PHASE_HIT, 0, b->options.load.n_keys};
        struct space space;

        for (unsigned i = 0; i < b->n; i++) {
                struct runner *r = &b->runners[i];
                json_t *o = object_in(object_in(b->report, "reopen"), r->peer->name);
                double clean, accident[2];

                if (runner_close(r, &space) != 0)
                        fail(r, "closing");
                clean = opened_ms(r, "clean", o);
                for (unsigned cut = 0; cut < 2; cut++) {
                        accident[cut] = opened_after_accident(b, r, cut, o);
                        if (r->peer == &peer_bucketmap && runner_slice(r, &all, &result) != 0)
                                fail(r, "reading after the accident");
                }
                fprintf(stderr,
                        "%-16s %-13s opened in %.1f ms after a close, %.1f after a kill, %.1f "
                        "after a power cut\n",
                        "reopen", r->peer->name, clean, accident[0], accident[1]);
        }
}

static void run(struct bench *b)
{
        open_all(b, NULL);
        if (b->options.reopen) {
                run_phase(b, PHASE_INSERT);
                run_reopen(b);
                return;
        }
        run_phase(b, PHASE_INSERT);
        close_all(b, "loaded", b->logical[0], false);
        if (b->options.insert_only)
                return;
        open_all(b, "loaded");
        run_phase(b, PHASE_HIT);
        run_phase(b, PHASE_HIT_MANY);
        run_phase(b, PHASE_MISS);
        run_phase(b, PHASE_SCAN);
        run_phase(b, PHASE_REF);
        run_phase(b, PHASE_REF_MANY);
        run_phase(b, PHASE_OVERWRITE_SAME);
        run_phase(b, PHASE_OVERWRITE_OTHER);
        close_all(b, "overwritten", b->logical[1], true);
        open_all(b, "overwritten");
        run_phase(b, PHASE_DELETE);
        close_all(b, "emptied", b->logical[1], true);
}

static void measure_logical(struct bench *b)
{
        const struct load *load = &b->options.load;
        char key[KEY_MAX];

        for (uint64_t i = 0; i < load->n_keys; i++) {
                size_t key_len = data_key(i, key), len;

                for (unsigned v = 0; v < 2; v++) {
                        data_value(load->workload, i, v * 2, &len);
                        b->logical[v] += key_len + len + COUNT_BYTES;
                }
        }
}

static void describe(struct bench *b)
{
        json_t *settings = object_in(b->report, "settings");

        for (unsigned i = 0; i < b->n; i++)
                json_object_set_new(object_in(settings, b->runners[i].peer->name), "told",
                                    json_string(b->runners[i].peer->settings));
        json_object_set_new(b->report, "logical_bytes", json_integer((json_int_t)b->logical[0]));
        json_object_set_new(b->report, "keys", json_integer((json_int_t)b->options.load.n_keys));
}

static struct bench bench;
static char work[4096];

/* Also after a failure: nothing stays behind. */
static void clean_up(void)
{
        for (unsigned i = 0; i < bench.n; i++)
                runner_stop(&bench.runners[i]);
        bench.n = 0;
        rmdir(work);
}

static void interrupted(int signal)
{
        exit(128 + signal);
}

int main(int argc, char **argv)
{
        static const struct argp argp = {
                .options = option_list,
                .parser = parse,
                .doc = "Compares libbucketmap with other stores.",
        };
        struct options *o = &bench.options;

        o->load = (struct load){.n_keys = 1000000, .threads = 1};
        o->dir = getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp";
        argp_parse(&argp, argc, argv, 0, NULL, o);
        data_init();
        measure_logical(&bench);
        snprintf(work, sizeof(work), "%s/bucketmap-bench.XXXXXX", o->dir);
        if (!mkdtemp(work)) {
                fprintf(stderr, "bench-core: %s: %s\n", o->dir, strerror(errno));
                return 1;
        }
        for (unsigned i = 0; bench_peers[i]; i++) {
                const struct peer *peer = bench_peers[i];

                if (!takes_part(o, peer))
                        continue;
                if (runner_start(&bench.runners[bench.n], peer, work, &o->load) != 0)
                        return 1;
                bench.n++;
        }
        atexit(clean_up);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGINT, interrupted);
        signal(SIGTERM, interrupted);
        bench.report = json_object();
        describe(&bench);
        run(&bench);
        if (o->json && json_dump_file(bench.report, o->json, JSON_INDENT(2)) != 0) {
                fprintf(stderr, "bench-core: %s: cannot write\n", o->json);
                return 1;
        }
        json_decref(bench.report);
        return 0;
}
