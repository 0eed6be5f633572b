/* SPDX-License-Identifier: MIT */
/* See view.h. */
#include "view.h"

#include <errno.h>

/* What the value says, by the record's type. */
static int take_value(struct bm_view *view, const struct bm_record *record)
{
        struct bm_map_entry entry;
        struct bm_head head;
        switch (record->type) {
        case BM_REC_PUT:
        case BM_REC_CHUNK: /* a sweep of all chunks lists them */
                view->value = record->value;
                view->size = record->value_len;
                return 0;
        case BM_REC_HEAD:
                if (bm_head_decode(&head, record->value, record->value_len) != 0)
                        return -EIO;
                view->large = true;
                view->size = head.size;
                view->allocated += head.allocated;
                return 0;
        case BM_REC_MAP:
                if (bm_map_entry_decode(&entry, record->value, record->value_len) != 0)
                        return -EIO;
                view->map_id = entry.map_id;
                return 0;
        default:
                return -EIO;
        }
}

int bm_view_init(struct bm_view *view, const struct bm_found *found)
{
        const struct bm_record *record = &found->record;
        *view = (struct bm_view){
                .record_id = record->record_id,
                .count = found->count,
                .meta = record->meta_len ? record->meta : NULL,
                .meta_len = record->meta_len,
                .links = found->links,
                .by_id = found->by_id,
                .allocated = record->length,
        };
        int r = take_value(view, record);
        if (found->trust == BM_TRUST_VALUE)
                view->value = NULL;
        return r == 0 && !bm_record_intact(record) ? -EIO : r;
}

int bm_view_intact(const struct bm_view *view)
{
        bool intact = (!view->value || bm_mapped_intact(view->value, view->size)) &&
                      bm_mapped_intact(view->meta, view->meta_len);
        return intact ? 0 : -EIO;
}

int bm_ref_check(const struct bm_ref *ref, const struct bm_found *found)
{
        if (!found->there)
                return BM_E_NOT_FOUND;
        if (ref->record_id && found->record.record_id != ref->record_id)
                return BM_E_STALE;
        return 0;
}
