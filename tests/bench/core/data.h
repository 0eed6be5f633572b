/* SPDX-License-Identifier: MIT */
/*
 * The keys and values of a benchmark, from their numbers alone: every store
 * gets the same ones, nothing is kept, and what is read can be compared.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum workload {
        SMALL, /* values of 0 to 100 bytes */
        KIB,   /* 1 KiB */
        FILES  /* log-normal, median 1 KiB, to 256 KiB */
};

enum { KEY_MAX = 40, VALUE_MAX = 256 << 10 };

/* Fills the pool that values are cut from; once, before anything else. */
void data_init(void);

/* Writes the key of number I (16 to 40 letters) into KEY; returns its length. */
size_t data_key(uint64_t i, char key[KEY_MAX]);

/* The value of key I after VERSION overwrites. Versions 2k and 2k + 1 are of the same length. */
const void *data_value(enum workload workload, uint64_t i, unsigned version, size_t *len);

/* The largest value of a workload, bytes. */
size_t data_value_max(enum workload workload);

/* The I-th of a walk through 0..N-1 in an order that has no locality; another for each SALT. */
uint64_t data_shuffled(uint64_t i, uint64_t n, unsigned salt);
