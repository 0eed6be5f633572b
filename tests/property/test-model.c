/* SPDX-License-Identifier: MIT */
/*
 * 100 000 random operations against a plain model. The store is closed and
 * opened again at random places; at others its process ends without closing
 * it, or is killed in the middle of whatever it and the store's threads do: a
 * child works, the parent keeps the model and then finds everything that the
 * child's calls had returned from. Of the call that was under way when the
 * child was killed all is there or nothing.
 *
 * BM_SEED repeats a run, BM_OPS sets the number of operations.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

static struct run run;
static uint64_t seed;
static bool finished;

static void say_where(void)
{
        if (!finished)
                fprintf(stderr, "# failed at operation %llu; BM_SEED=%llu repeats it\n",
                        (unsigned long long)run.n_done, (unsigned long long)seed);
}

static void open_store(struct test_store *t)
{
        test_store_open(t);
        run.store = t->store;
        run_verify(&run);
}

static void close_store(struct test_store *t)
{
        run_release(&run);
        run.store = NULL;
        test_store_close(t);
        model_drop_orphans(&run.model);
}

static void work(uint64_t n)
{
        for (; n > 0; n--)
                run_operation(&run);
}

/* A process opens the store, works, and ends with everything open. */
static void work_and_die(struct test_store *t, uint64_t n)
{
        pid_t child;
        int status;

        fflush(NULL);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                open_store(t);
                work(n);
                _exit(0);
        }
        work(n);
        model_drop_orphans(&run.model);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0)
                fail_msg("the child ended with status %#x", status);
}

/* Whether the store, which another process has left, holds what the model holds. */
static bool store_matches(struct test_store *t)
{
        pid_t child;
        int status;

        fflush(NULL);
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

                /* that it does not match is an answer, no failed test */
                dup2(null, STDOUT_FILENO);
                dup2(null, STDERR_FILENO);
                t->config.read_only = true;
                open_store(t);
                _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        return status == 0;
}

/* A process opens the store, works, and is killed when it has done N_KILL. */
static void work_and_be_killed(struct test_store *t, uint64_t n, uint64_t n_kill)
{
        const struct timespec pause = {.tv_nsec = 200000};
        _Atomic uint64_t *progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
                                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t child, ended = 0;
        int status = 0;

        assert_true(progress != MAP_FAILED);
        fflush(NULL);
        run.atomic_only = true;
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
                open_store(t);
                for (uint64_t i = 1; i <= n; i++) {
                        work(1);
                        atomic_store(progress, i);
                }
                _exit(0);
        }
        while (atomic_load(progress) < n_kill && (ended = waitpid(child, &status, WNOHANG)) == 0)
                nanosleep(&pause, NULL);
        if (ended == 0) {
                kill(child, SIGKILL);
                assert_int_equal(waitpid(child, &status, 0), child);
        }
        if (status != 0 && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
                fail_msg("the child ended with status %#x", status);
        work(atomic_load(progress));
        model_drop_orphans(&run.model);
        if (atomic_load(progress) < n && !store_matches(t)) {
                work(1);
                model_drop_orphans(&run.model);
        }
        run.atomic_only = false;
        munmap((void *)progress, sizeof(*progress));
}

/* Settings that matter to the index are random too. */
static struct bm_config random_config(struct test_random *random)
{
        static const unsigned searches[] = {4, 8, 32, 256};
        struct bm_config config = BM_CONFIG_INIT;

        config.n_buckets = 1u << test_random_below(random, 5);
        config.max_search = searches[test_random_below(random, 4)];
        return config;
}

static void model(void **state)
{
        uint64_t n_operations = test_env_number("BM_OPS", 100000);
        unsigned n_closed = 0, n_died = 0, n_killed = 0;
        struct test_random random;
        struct bm_config config;
        struct test_store *t;

        seed = test_seed();
        test_random_init(&random, seed);
        test_random_init(&run.random, seed + 1);
        model_init(&run.model);
        config = random_config(&random);
        t = test_store_new(&config);
        test_store_close(t);

        while (run.n_done < n_operations) {
                uint64_t n = 1 + test_random_below(&random, 3000);

                if (n > n_operations - run.n_done)
                        n = n_operations - run.n_done;
                t->config.no_background = test_random_below(&random, 4) == 0;
                t->config.stamp_times = test_random_below(&random, 2);
                switch (test_random_below(&random, 4)) {
                case 0:
                        work_and_die(t, n);
                        n_died++;
                        break;
                case 1:
                        work_and_be_killed(t, n, test_random_below(&random, n));
                        n_killed++;
                        break;
                default:
                        open_store(t);
                        work(n);
                        if (test_random_below(&random, 3) == 0)
                                test_store_check(t->store);
                        close_store(t);
                        n_closed++;
                        break;
                }
        }

        open_store(t);
        test_store_check(t->store);
        assert_ok(bm_compact(t->store));
        run_verify(&run);
        test_store_check(t->store);
        close_store(t);
        t->config.read_only = true;
        open_store(t);
        test_store_check(t->store);
        close_store(t);
        model_deinit(&run.model);
        test_store_free(t);
        finished = true;
        printf("# %llu operations, closed %u times, ended without closing %u times, killed %u "
               "times\n",
               (unsigned long long)run.n_done, n_closed, n_died, n_killed);
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(model)};

        atexit(say_where);
        return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
