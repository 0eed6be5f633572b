/* SPDX-License-Identifier: MIT */
/*
 * A session's life: new, mount, run, unmount, free.
 *
 * Threads: run's caller and one more take requests (with single_threaded the
 * caller alone); each handles one at a time, to its answer. fsync is answered
 * by a thread of the store's, what takes long (chores.h) by one of its
 * own, what the kernel has to hear of by the notifier's. One more waits for the mount to
 * answer and ends.
 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "chores.h"
#include "fs.h"
#include "mountinfo.h"
#include "notifier.h"
#include "online_check.h"
#include "ops.h"
#include "requests.h"
#include "root.h"

/* The kernel hands out work in turn to threads with a channel of their own:
 * two serve as many clients as this many processors can run beside them. */
#define N_THREADS 2u

/* Interrupts a thread that waits for a request; nothing else in the program
 * may use it. */
#define WAKE_SIGNAL SIGRTMIN

struct fs_session {
        struct fs fs;
        struct fuse_session *fuse;
        char *dir; /* NULL until mounted */
        bool threaded;
        bool clone_fd;
        /* ready: see wait_ready */
        pthread_t ready_thread;
        bool ready_started;
        void (*ready)(void *ctx);
        void *ready_ctx;
        /* guarded by lock */
        pthread_mutex_t lock;
        pthread_t runner;
        bool running;
};

/* The kernel checks modes unless nobody needs it to: root passes every check. */
static bool kernel_checks(const struct fs_options *options)
{
        return options->allow_other || (geteuid() != 0 && !options->nopermcheck);
}

static int add_options(const struct fs_options *options, struct fuse_args *args)
{
        int result = 0;

        if (options->allow_other)
                result |= fuse_opt_add_arg(args, "-oallow_other");
        if (kernel_checks(options))
                result |= fuse_opt_add_arg(args, "-odefault_permissions");
        if (options->read_only)
                result |= fuse_opt_add_arg(args, "-oro");
        return result ? -ENOMEM : 0;
}

static int init_fs(struct fs_session *session, const struct fs_options *options,
                   struct bm_store *store)
{
        struct fs *fs = &session->fs;
        int result = 0;

        fs->options = *options;
        fs->options.store_path = NULL;
        fs->owner = geteuid();
        fs->check_owner = !kernel_checks(options);
        backend_map_init(&fs->backend, store);
        if (options->store_path && !(fs->store_path = strdup(options->store_path)))
                return -ENOMEM;
        if (!options->read_only)
                result = fs_init_root(store);
        if (!result)
                result = fs_root_defaults(store, &fs->defaults);
        if (!result)
                result = fs_inodes_new(&fs->backend, &fs->inodes);
        if (!result)
                result = fs_chores_new(fs, &fs->chores);
        if (!result)
                result = fs_checker_new(&fs->backend, &fs->checker);
        if (!result)
                result = fs_requests_new(&fs->requests);
        return result;
}

int fs_session_new(const struct fs_options *options, struct bm_store *store, struct fuse_args *args,
                   struct fs_session **sessionp)
{
        struct fs_session *session = calloc(1, sizeof(*session));
        int result;

        if (!session)
                return -ENOMEM;
        if (pthread_key_create(&session->fs.buffer_key, free)) {
                free(session);
                return -ENOMEM;
        }
        pthread_mutex_init(&session->lock, NULL);
        pthread_mutex_init(&session->fs.answers_lock, NULL);
        pthread_cond_init(&session->fs.answers_done, NULL);
        session->threaded = !options->single_threaded;
        session->clone_fd = options->clone_fd;
        result = init_fs(session, options, store);
        if (!result)
                result = add_options(options, args);
        if (!result) {
                session->fuse = fuse_session_new(args, &fs_ops, sizeof(fs_ops), &session->fs);
                session->fs.session = session->fuse;
                /* libfuse has said on stderr what it does not like */
                if (!session->fuse)
                        result = -EINVAL;
        }
        if (!result)
                result = fs_notifier_new(session->fuse, &session->fs.notifier);
        if (result) {
                fs_session_free(session);
                return result;
        }
        *sessionp = session;
        return 0;
}

int fs_session_mount(struct fs_session *session, const char *dir)
{
        char *copy = strdup(dir);
        int result;

        if (!copy)
                return -ENOMEM;
        errno = 0;
        if (fuse_session_mount(session->fuse, dir)) {
                result = errno ? -errno : -EIO;
                free(copy);
                return result;
        }
        session->dir = copy;
        result = fs_kernel_io_install(&session->fs, session->fuse);
        if (result)
                fs_session_unmount(session);
        return result;
}

/* The root's attributes are there when the kernel has finished INIT. */
static void *wait_ready(void *ctx)
{
        struct fs_session *session = ctx;
        struct stat st;

        if (stat(session->dir, &st) == 0)
                session->ready(session->ready_ctx);
        return NULL;
}

static int start_ready(struct fs_session *session, void (*ready)(void *ctx), void *ctx)
{
        int error;

        session->ready = ready;
        session->ready_ctx = ctx;
        error = pthread_create(&session->ready_thread, NULL, wait_ready, session);
        session->ready_started = !error;
        return -error;
}

/* Asked for beforehand, since libfuse complains aloud and goes on without. */
static bool can_clone(void)
{
        int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return false;
        close(fd);
        return true;
}

static int loop_threaded(struct fs_session *session)
{
        struct fuse_loop_config *config = fuse_loop_cfg_create();
        int result;

        if (!config)
                return -ENOMEM;
        fuse_loop_cfg_set_clone_fd(config, session->clone_fd && can_clone());
        fuse_loop_cfg_set_max_threads(config, N_THREADS);
        /* threads that come and go cost more than the requests */
        fuse_loop_cfg_set_idle_threads(config, N_THREADS);
        result = fuse_session_loop_mt(session->fuse, config);
        fuse_loop_cfg_destroy(config);
        return result;
}

static void nothing(int signal_number)
{
}

static void set_runner(struct fs_session *session, bool running)
{
        pthread_mutex_lock(&session->lock);
        session->running = running;
        session->runner = pthread_self();
        pthread_mutex_unlock(&session->lock);
}

int fs_session_run(struct fs_session *session, void (*ready)(void *ctx), void *ctx)
{
        /* without SA_RESTART: the wait for a request is to end */
        struct sigaction wake = {.sa_handler = nothing}, old;
        sigset_t only_wake, old_mask;
        int result = 0;

        sigaction(WAKE_SIGNAL, &wake, &old);
        sigemptyset(&only_wake);
        sigaddset(&only_wake, WAKE_SIGNAL);
        pthread_sigmask(SIG_UNBLOCK, &only_wake, &old_mask);
        set_runner(session, true);
        if (ready)
                result = start_ready(session, ready, ctx);
        if (!result)
                result = session->threaded ? loop_threaded(session)
                                           : fuse_session_loop(session->fuse);
        set_runner(session, false);
        /* whose last answers are due yet */
        fs_notifier_stop(session->fs.notifier);
        pthread_sigmask(SIG_SETMASK, &old_mask, NULL);
        fs_answers_wait(&session->fs);
        session->fs.chores = fs_chores_free(session->fs.chores);
        session->fs.checker = fs_checker_free(session->fs.checker);
        sigaction(WAKE_SIGNAL, &old, NULL);
        return result;
}

void fs_session_exit(struct fs_session *session)
{
        const struct timespec pause = {.tv_nsec = 1000000};
        bool running = true;

        /* what it waits for is a request that somebody has to serve */
        fs_notifier_stop(session->fs.notifier);
        fuse_session_exit(session->fuse);
        /* a signal between the runner's look and its wait is lost: once more */
        while (running) {
                pthread_mutex_lock(&session->lock);
                running = session->running;
                if (running && pthread_equal(session->runner, pthread_self()))
                        running = false;
                else if (running)
                        pthread_kill(session->runner, WAKE_SIGNAL);
                pthread_mutex_unlock(&session->lock);
                if (running)
                        nanosleep(&pause, NULL);
        }
}

/*
 * The mount lives on, but something else is seen at its place: it was detached
 * while in use, or mounted over. libfuse would unmount that other thing.
 */
static bool alive_elsewhere(const struct fs_session *session)
{
        struct pollfd device = {.fd = fuse_session_fd(session->fuse)};
        bool ended = poll(&device, 1, 0) == 1 && device.revents & POLLERR;

        return !ended && session->fs.store_path &&
               !mount_is_there(session->dir, session->fs.store_path);
}

/*
 * Ends the connection and with it every wait for an answer. What stands in its
 * place is a pipe without a reader: like the device after an unmount it polls as
 * an error, by which libfuse knows that there is nothing left to unmount.
 */
static bool sever(struct fs_session *session)
{
        int ends[2];
        bool done;

        if (pipe2(ends, O_CLOEXEC))
                return false;
        done = dup3(ends[1], fuse_session_fd(session->fuse), O_CLOEXEC) >= 0;
        close(ends[0]);
        close(ends[1]);
        return done;
}

/* The thread waited for a mount that is gone now. */
static void join_ready(struct fs_session *session)
{
        if (session->ready_started)
                pthread_join(session->ready_thread, NULL);
        session->ready_started = false;
}

void fs_session_unmount(struct fs_session *session)
{
        if (!session->dir)
                return;
        if (!alive_elsewhere(session) || sever(session))
                fuse_session_unmount(session->fuse);
        join_ready(session);
        free(session->dir);
        session->dir = NULL;
}

struct fs_session *fs_session_free(struct fs_session *session)
{
        if (!session)
                return NULL;
        session->fs.notifier = fs_notifier_free(session->fs.notifier);
        session->fs.chores = fs_chores_free(session->fs.chores);
        session->fs.checker = fs_checker_free(session->fs.checker);
        /* what is mounted at the directory by now may not be ours: the
         * connection is closed, the directory left alone */
        if (session->fuse)
                fuse_session_destroy(session->fuse);
        join_ready(session);
        free(session->dir);
        fs_inodes_free(session->fs.inodes);
        fs_requests_free(session->fs.requests);
        free(pthread_getspecific(session->fs.buffer_key));
        pthread_key_delete(session->fs.buffer_key);
        free(session->fs.store_path);
        pthread_cond_destroy(&session->fs.answers_done);
        pthread_mutex_destroy(&session->fs.answers_lock);
        pthread_mutex_destroy(&session->lock);
        free(session);
        return NULL;
}
