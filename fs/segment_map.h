/* SPDX-License-Identifier: MIT */
/* A picture of a store's data segments: one character each, by how much of it lives. */
#ifndef FS_SEGMENT_MAP_H
#define FS_SEGMENT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "bucketmap.h"

struct segment_list {
        struct bm_segment_info *segments;
        size_t n, room;
};

void segment_list_deinit(struct segment_list *list);

/* For bm_segments and control_segments, with the list as context. 0 or -ENOMEM. */
int segment_list_add(void *ctx, const struct bm_segment_info *info);

/*
 * Draws the segments of LIST, which is sorted by it, in groups of a drive and
 * a kind. ASCII: for those who cannot see blocks. PLAIN: bytes without units.
 * 0 or -EIO.
 */
int segment_map_print(FILE *out, struct segment_list *list, bool ascii, bool plain);

#endif
