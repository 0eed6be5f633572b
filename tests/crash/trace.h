/* SPDX-License-Identifier: MIT */
/*
 * What a store did to its files, in order. A file is named by a number that
 * it keeps for life, whatever happens to its name; a directory by DIR_TOP or
 * DIR_SEGMENTS of its drive.
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DRIVES_MAX = 2, DIRS = 2 * DRIVES_MAX, NAME_BYTES = 24 };

/* The directories of drive I are 2 * I and 2 * I + 1. */
enum { DIR_TOP, DIR_SEGMENTS };

enum event_kind {
        EV_WRITE,  /* pwrite, or stores into a mapping */
        EV_SIZE,   /* truncate and allocate: the new size is in len */
        EV_SYNC,   /* of a file */
        EV_CREATE, /* a name for a new file */
        EV_UNLINK,
        EV_SYNC_DIR,
        EV_NOTHING, /* what a mutant left out */
};

struct event {
        enum event_kind kind;
        unsigned file, dir;
        char name[NAME_BYTES];
        uint64_t offset, len;
        uint8_t *data;
        uint64_t serial;  /* counts all events of the process */
        uint64_t since;   /* syncs: serial when it began; what came later may be left out */
        uint64_t time_ns; /* same_luck's */
        unsigned thread;  /* turns's number */
        bool mapped;      /* writes: a store into a mapping */
        const struct event *early; /* a mutant's: a name that is gone for good before this */
};

struct trace {
        struct event *events;
        size_t n, cap;
};

/* Adds an event; its data are copied, and it gets the next serial. */
void trace_add(struct trace *trace, const struct event *event);
/* The serial that the next event gets. */
uint64_t trace_serial(void);
void trace_deinit(struct trace *trace);

/* Memory, or the end of the test. */
void *must_alloc(size_t size);
void *must_realloc(void *p, size_t size);

/* Random numbers that depend on the seed alone. */
uint64_t rnd(uint64_t *state);
uint64_t rnd_below(uint64_t *state, uint64_t n);
uint64_t mix64(uint64_t x);

#endif
