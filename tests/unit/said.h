/* SPDX-License-Identifier: MIT */
/* What a check or a repair said, finding by finding. */
#ifndef BM_TEST_SAID_H
#define BM_TEST_SAID_H

#include <stdio.h>
#include <string.h>

#include "store-fixture.h"

enum { FINDINGS = 64 };

struct said {
        size_t n;
        char list[FINDINGS][300];
};

static inline void on_finding(void *ctx, const struct bm_finding *finding)
{
        struct said *s = ctx;
        assert_true(s->n < FINDINGS);
        snprintf(s->list[s->n], sizeof(s->list[0]), "%s%.*s: %s", finding->path,
                 (int)finding->key_len, finding->key ? (const char *)finding->key : "",
                 finding->message);
        s->n++;
}

static inline bool says(const struct said *said, const char *text)
{
        for (size_t i = 0; i < said->n; i++) {
                if (strstr(said->list[i], text))
                        return true;
        }
        return false;
}

#endif
