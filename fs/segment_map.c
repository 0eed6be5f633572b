/* SPDX-License-Identifier: MIT */
#include "segment_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

#define PER_LINE 64
#define N_LEVELS 5

static const char *const blocks[N_LEVELS] = {" ", "░", "▒", "▓", "█"};
static const char *const letters[N_LEVELS] = {" ", ".", "-", "+", "#"};

void segment_list_deinit(struct segment_list *list)
{
        free(list->segments);
        *list = (struct segment_list){0};
}

int segment_list_add(void *ctx, const struct bm_segment_info *info)
{
        struct segment_list *list = ctx;

        /* the index is rewritten as a whole: no part of a segment of it is alive or dead */
        if (!strcmp(info->kind, "index"))
                return 0;
        if (list->n == list->room) {
                size_t room = list->room ? list->room * 2 : 64;
                struct bm_segment_info *grown = reallocarray(list->segments, room, sizeof(*grown));

                if (!grown)
                        return -ENOMEM;
                list->segments = grown;
                list->room = room;
        }
        list->segments[list->n++] = *info;
        return 0;
}

static int compare_groups(const struct bm_segment_info *a, const struct bm_segment_info *b)
{
        if (a->drive != b->drive)
                return a->drive < b->drive ? -1 : 1;
        /* the log first */
        return -strcmp(a->kind, b->kind);
}

static int compare(const void *pa, const void *pb)
{
        const struct bm_segment_info *a = pa, *b = pb;
        int r = compare_groups(a, b);

        if (!r && a->number != b->number)
                r = a->number < b->number ? -1 : 1;
        return r ? r : (a->file_id > b->file_id) - (a->file_id < b->file_id);
}

/* 0 nothing lives, 1 up to a quarter, 4 more than three quarters. */
static unsigned level(const struct bm_segment_info *s)
{
        double part = s->size ? (double)s->live / (double)s->size : 0;

        if (!s->live)
                return 0;
        return part > 0.75 ? 4 : part > 0.5 ? 3 : part > 0.25 ? 2 : 1;
}

static void print_group(FILE *out, const struct bm_segment_info *segments, size_t n,
                        const char *const *signs, bool plain)
{
        char size_text[PRINT_BYTES_SIZE], live_text[PRINT_BYTES_SIZE];
        uint64_t size = 0, live = 0;

        for (size_t i = 0; i < n; i++) {
                size += segments[i].size;
                live += segments[i].live;
        }
        fprintf(out, "drive %u, %s: %zu segment%s of %s in all, %s live\n", segments[0].drive,
                segments[0].kind, n, n == 1 ? "" : "s", print_bytes(size_text, size, plain),
                print_bytes(live_text, live, plain));
        for (size_t i = 0; i < n; i++) {
                if (i % PER_LINE == 0)
                        fputs("  |", out);
                fputs(signs[level(&segments[i])], out);
                if (i % PER_LINE == PER_LINE - 1 || i + 1 == n)
                        fputs("|\n", out);
        }
}

int segment_map_print(FILE *out, struct segment_list *list, bool ascii, bool plain)
{
        const char *const *signs = ascii ? letters : blocks;
        size_t n;

        if (list->n)
                qsort(list->segments, list->n, sizeof(*list->segments), compare);
        for (size_t i = 0; i < list->n; i += n) {
                const struct bm_segment_info *first = &list->segments[i];

                for (n = 1; i + n < list->n && !compare_groups(first, first + n); n++)
                        ;
                print_group(out, first, n, signs, plain);
        }
        fprintf(out,
                "'%s' none of it live, '%s' to a quarter, '%s' to a half, '%s' to three quarters, "
                "'%s' more\n",
                signs[0], signs[1], signs[2], signs[3], signs[4]);
        return ferror(out) ? -EIO : 0;
}
