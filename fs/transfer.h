/* SPDX-License-Identifier: MIT */
/* What export and import tell while they work, and how they end. */
#ifndef FS_TRANSFER_H
#define FS_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct transfer {
        bool show; /* on a terminal */
        bool shown;
        time_t last;
        uint64_t n_keys, n_bytes, n_failed;
};

void transfer_init(struct transfer *transfer);

/* Something went through. */
void transfer_step(struct transfer *transfer, uint64_t n_keys, uint64_t n_bytes);

/* A tree_failed_fn whose CTX is a struct transfer. */
void transfer_failed(void *transfer, const char *path, const char *reason);

/* Tells of PATH what is no failure. */
void transfer_note(struct transfer *transfer, const char *path, const char *text);

/* The last line of it; returns the exit code. */
int transfer_end(struct transfer *transfer);

/* What stands for a failed bm_ call or a negative errno. */
const char *transfer_reason(int result);

/* Names in archives are UTF-8 or any bytes, whatever the user's language. */
void transfer_set_locale(void);

#endif
