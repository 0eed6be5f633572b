/* SPDX-License-Identifier: MIT */
/* Counting requests by their messages, and what a report makes of the counts. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <linux/fuse.h>

#include "requests.h"
#include "requests_report.h"

static struct fs_requests *requests;
static struct fs_ioc_requests counts;

static int new_requests(void **state)
{
        return fs_requests_new(&requests);
}

static int free_requests(void **state)
{
        requests = fs_requests_free(requests);
        return 0;
}

static void begin(uint32_t opcode, uint64_t unique)
{
        struct fuse_in_header header = {.len = sizeof(header), .opcode = opcode, .unique = unique};

        fs_requests_begin(requests, &header, sizeof(header));
}

static void end(uint64_t unique, int error, uint32_t n_bytes)
{
        struct fuse_out_header header = {
                .len = (uint32_t)sizeof(header) + n_bytes, .error = error, .unique = unique};
        struct iovec iov = {&header, sizeof(header)};

        fs_requests_end(requests, &iov, 1);
}

static const struct fs_ioc_kind *count(const char *name)
{
        fs_requests_read(requests, &counts);
        for (uint32_t i = 0; i < counts.n_kinds; i++) {
                if (!strcmp(counts.kinds[i].name, name))
                        return &counts.kinds[i];
        }
        fail_msg("no kind %s", name);
        return NULL;
}

static uint64_t sum_of(const struct fs_ioc_kind *kind)
{
        uint64_t n = 0;

        for (unsigned i = 0; i < FS_IOC_BUCKETS; i++)
                n += kind->histogram[i];
        return n;
}

static void kinds(void **state)
{
        begin(FUSE_LOOKUP, 2);
        end(2, 0, 0);
        begin(FUSE_MKNOD, 4);
        end(4, 0, 0);
        begin(FUSE_RENAME2, 6);
        end(6, 0, 0);
        begin(FUSE_READDIRPLUS, 8);
        end(8, 0, 100);
        begin(60000, 10);
        end(10, -ENOSYS, 0);
        assert_int_equal(count("lookup")->requests, 1);
        assert_int_equal(count("create")->requests, 1);
        assert_int_equal(count("rename")->requests, 1);
        assert_int_equal(count("readdir")->requests, 1);
        assert_int_equal(count("readdir")->bytes, 0);
        assert_int_equal(count("other")->requests, 1);
        assert_int_equal(count("getattr")->requests, 0);
        assert_int_equal(sum_of(count("lookup")), 1);
}

static void failures(void **state)
{
        static const int errors[] = {-EIO, -ENOENT, -ENODATA, -ENOSYS, -EOPNOTSUPP, 0};

        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
                begin(FUSE_GETXATTR, 2);
                end(2, errors[i], 0);
        }
        assert_int_equal(count("getxattr")->requests, 5);
        assert_int_equal(count("other")->requests, 1);
        assert_int_equal(count("getxattr")->errors, 2);
}

static void bytes(void **state)
{
        struct {
                struct fuse_in_header header;
                struct fuse_write_in write_in;
        } write = {.header = {.opcode = FUSE_WRITE, .unique = 2}, .write_in = {.size = 70000}};

        fs_requests_begin(requests, &write, sizeof(write));
        end(2, 0, sizeof(struct fuse_write_out));
        write.header.unique = 4;
        fs_requests_begin(requests, &write, sizeof(write));
        end(4, -ENOSPC, 0);
        begin(FUSE_READ, 6);
        end(6, 0, 1234);
        begin(FUSE_READ, 8);
        end(8, -EIO, 0);
        assert_int_equal(count("write")->bytes, 70000);
        assert_int_equal(count("read")->bytes, 1234);
}

/* What has no answer, what was never asked, and notifications. */
static void odd_messages(void **state)
{
        char part[8] = {0};
        struct iovec iov = {part, sizeof(part)};

        begin(FUSE_FORGET, 2);
        begin(FUSE_BATCH_FORGET, 0);
        end(4, 0, 0);
        end(0, 3, 0);
        fs_requests_begin(requests, part, sizeof(part));
        fs_requests_end(requests, &iov, 1);
        fs_requests_end(requests, &iov, 0);
        assert_int_equal(count("forget")->requests, 2);
        assert_int_equal(sum_of(count("forget")), 0);
        for (uint32_t i = 0; i < counts.n_kinds; i++)
                assert_true(counts.kinds[i].requests == 0 ||
                            !strcmp(counts.kinds[i].name, "forget"));
}

/* Late answers, numbers that share a slot, and more than there are slots. */
static void in_any_order(void **state)
{
        const uint64_t n = 3000;

        begin(FUSE_FSYNC, 2);
        for (uint64_t i = 2; i <= n; i++) {
                begin(FUSE_GETATTR, 2 * i);
                end(2 * i, 0, 0);
        }
        end(2, -EIO, 0);
        assert_int_equal(count("getattr")->requests, n - 1);
        assert_int_equal(count("fsync")->requests, 1);
        assert_int_equal(count("fsync")->errors, 1);
        for (uint64_t i = 1; i <= n; i++)
                begin(FUSE_STATFS, 2 * i);
        for (uint64_t i = n; i >= 1; i--)
                end(2 * i, 0, 0);
        assert_in_range(count("statfs")->requests, 1024, n);
        begin(FUSE_READ, 2);
        end(2, 0, 1);
        assert_int_equal(count("read")->requests, 1);
}

#define N_THREADS  4u
#define PER_THREAD 20000u

static void *ask(void *ctx)
{
        uint64_t first = 2 * (uint64_t)PER_THREAD * *(unsigned *)ctx;

        for (uint64_t i = 1; i <= PER_THREAD; i++) {
                begin(FUSE_LOOKUP, first + 2 * i);
                end(first + 2 * i, i % 2 ? -EIO : 0, 0);
        }
        return NULL;
}

static void many_threads(void **state)
{
        pthread_t threads[N_THREADS];
        unsigned numbers[N_THREADS];

        for (unsigned i = 0; i < N_THREADS; i++) {
                numbers[i] = i;
                assert_int_equal(pthread_create(&threads[i], NULL, ask, &numbers[i]), 0);
        }
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(count("lookup")->requests, N_THREADS * PER_THREAD);
        assert_int_equal(count("lookup")->errors, N_THREADS * PER_THREAD / 2);
        assert_int_equal(sum_of(count("lookup")), N_THREADS * PER_THREAD);
}

static void buckets(void **state)
{
        assert_int_equal(fs_requests_bucket(-5), 0);
        assert_int_equal(fs_requests_bucket(0), 0);
        assert_int_equal(fs_requests_bucket(999), 0);
        assert_int_equal(fs_requests_bucket(1000), 1);
        assert_int_equal(fs_requests_bucket(1999), 1);
        assert_int_equal(fs_requests_bucket(2000), 2);
        assert_int_equal(fs_requests_bucket(1023999), 10);
        assert_int_equal(fs_requests_bucket(1024000), 11);
        assert_int_equal(fs_requests_bucket(INT64_MAX), FS_IOC_BUCKETS - 1);
}

static void quantiles(void **state)
{
        struct fs_ioc_kind kind = {.histogram = {[0] = 50, [3] = 49, [10] = 1}};

        assert_int_equal(requests_quantile_us(&kind, 0.5), 1);
        assert_int_equal(requests_quantile_us(&kind, 0.51), 8);
        assert_int_equal(requests_quantile_us(&kind, 0.99), 8);
        assert_int_equal(requests_quantile_us(&kind, 1), 1024);
        kind = (struct fs_ioc_kind){.histogram = {[FS_IOC_BUCKETS - 1] = 1}};
        assert_int_equal(requests_quantile_us(&kind, 0.5), 1 << 25);
        kind = (struct fs_ioc_kind){.requests = 7};
        assert_int_equal(requests_quantile_us(&kind, 1), 0);
}

static void intervals(void **state)
{
        struct fs_ioc_requests before = {.elapsed_ns = 100, .n_kinds = 1};
        struct fs_ioc_requests now = {.elapsed_ns = 300, .n_kinds = 1};
        struct fs_ioc_requests earlier = {.elapsed_ns = 301, .n_kinds = 1};

        before.kinds[0] = (struct fs_ioc_kind){.requests = 5, .bytes = 10, .histogram = {[4] = 5}};
        now.kinds[0] = (struct fs_ioc_kind){.requests = 7, .bytes = 40, .histogram = {[4] = 6, 1}};
        earlier.kinds[0].requests = 3;
        requests_since(&now, &before);
        assert_int_equal(now.elapsed_ns, 200);
        assert_int_equal(now.kinds[0].requests, 2);
        assert_int_equal(now.kinds[0].bytes, 30);
        assert_int_equal(now.kinds[0].histogram[4], 1);
        assert_int_equal(now.kinds[0].histogram[5], 1);
        /* mounted anew meanwhile */
        requests_since(&now, &earlier);
        assert_int_equal(now.kinds[0].requests, 2);
}

static void prometheus_escapes(void **state)
{
        const struct bm_stats stats = {.keys = 3};
        char *text;
        size_t len;
        FILE *out = open_memstream(&text, &len);

        assert_non_null(out);
        fs_requests_read(requests, &counts);
        assert_int_equal(requests_print_prometheus(out, "/a\"b\\c\nd\xff\xc3\xa4", &counts, &stats),
                         0);
        fclose(out);
        assert_non_null(strstr(text, "\nbucketmap_keys{store=\"/a\\\"b\\\\c\\nd?\xc3\xa4\"} 3\n"));
        free(text);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, new_requests, free_requests)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(kinds),
                TEST(failures),
                TEST(bytes),
                TEST(odd_messages),
                TEST(in_any_order),
                TEST(many_threads),
                TEST(prometheus_escapes),
                cmocka_unit_test(buckets),
                cmocka_unit_test(quantiles),
                cmocka_unit_test(intervals),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
