/* SPDX-License-Identifier: MIT */
/*
 * Counts of what the kernel asks, by kind of request: how many, how many
 * failed, bytes and how long they took.
 *
 * A request begins when its message was read and ends just before its answer
 * is written, by whichever thread: both are seen in one place, kernel_io.c. The
 * cost is two looks at the clock and a few relaxed additions a request.
 *
 * All functions may be called from many threads at once.
 */
#ifndef FS_REQUESTS_H
#define FS_REQUESTS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "bucketmap.h"
#include "ioctl.h"

struct fs_requests;

BM_CHECKED int fs_requests_new(struct fs_requests **requestsp);
/* NULL is allowed; returns NULL. */
struct fs_requests *fs_requests_free(struct fs_requests *requests);

/* A message of LEN bytes came from the kernel. */
void fs_requests_begin(struct fs_requests *requests, const void *message, size_t len);

/* An answer, or a notification, is about to be written. */
void fs_requests_end(struct fs_requests *requests, const struct iovec *iov, int count);

/* The counts up to now. Those of one kind may be a request apart. */
void fs_requests_read(struct fs_requests *requests, struct fs_ioc_requests *out);

/* In which part of the histogram a request of NS nanoseconds is counted. */
unsigned fs_requests_bucket(int64_t ns);

#endif
