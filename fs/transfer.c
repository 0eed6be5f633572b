/* SPDX-License-Identifier: MIT */
#include "transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bucketmap.h"
#include "command.h"
#include "print.h"
#include "quote.h"

void transfer_init(struct transfer *transfer)
{
        *transfer = (struct transfer){.show = isatty(STDERR_FILENO), .last = time(NULL)};
}

static void show(struct transfer *transfer)
{
        char bytes[PRINT_BYTES_SIZE];

        fprintf(stderr, "\r%" PRIu64 " keys, %s\033[K", transfer->n_keys,
                print_bytes(bytes, transfer->n_bytes, false));
        fflush(stderr);
        transfer->shown = true;
}

void transfer_step(struct transfer *transfer, uint64_t n_keys, uint64_t n_bytes)
{
        time_t now;

        transfer->n_keys += n_keys;
        transfer->n_bytes += n_bytes;
        if (!transfer->show)
                return;
        now = time(NULL);
        if (now == transfer->last)
                return;
        transfer->last = now;
        show(transfer);
}

void transfer_note(struct transfer *transfer, const char *path, const char *text)
{
        char *quoted = quote_shell(path, strlen(path));

        if (transfer->shown)
                fputs("\r\033[K", stderr);
        transfer->shown = false;
        fprintf(stderr, "%s: %s: %s\n", PROGRAM, quoted ? quoted : path, text);
        free(quoted);
}

void transfer_failed(void *ctx, const char *path, const char *reason)
{
        struct transfer *transfer = ctx;

        transfer_note(transfer, path, reason);
        transfer->n_failed++;
}

int transfer_end(struct transfer *transfer)
{
        if (transfer->shown) {
                show(transfer);
                fputc('\n', stderr);
        }
        return transfer->n_failed ? COMMAND_DAMAGE : COMMAND_FINE;
}

const char *transfer_reason(int result)
{
        return result < 0 ? strerror(-result) : bm_strerror(result);
}

void transfer_set_locale(void)
{
        setlocale(LC_CTYPE, "C.UTF-8");
}
