/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *must_alloc(size_t size)
{
        return must_realloc(NULL, size);
}

void *must_realloc(void *p, size_t size)
{
        p = realloc(p, size ? size : 1);
        if (!p) {
                fprintf(stderr, "out of memory\n");
                exit(99);
        }
        return p;
}

static uint64_t serial;

uint64_t trace_serial(void)
{
        return serial;
}

void trace_add(struct trace *trace, const struct event *event)
{
        if (trace->n == trace->cap) {
                trace->cap = trace->cap ? trace->cap * 2 : 1024;
                trace->events = must_realloc(trace->events, trace->cap * sizeof(*trace->events));
        }
        struct event *e = &trace->events[trace->n++];
        *e = *event;
        e->serial = serial++;
        if (e->kind == EV_WRITE) {
                e->data = must_alloc(e->len);
                memcpy(e->data, event->data, e->len);
        }
}

void trace_deinit(struct trace *trace)
{
        for (size_t i = 0; i < trace->n; i++) {
                if (trace->events[i].kind == EV_WRITE)
                        free(trace->events[i].data);
        }
        free(trace->events);
        *trace = (struct trace){0};
}

uint64_t mix64(uint64_t x)
{
        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

uint64_t rnd(uint64_t *state)
{
        return mix64(*state += UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t rnd_below(uint64_t *state, uint64_t n)
{
        return rnd(state) % n;
}
