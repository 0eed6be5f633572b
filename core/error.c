/* SPDX-License-Identifier: MIT */
/* Words for results: bm_strerror, and each thread's last problem. */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bucketmap.h"

enum { PROBLEM_BYTES = 1024, SENTENCE_BYTES = 128 };

static _Thread_local char problem[PROBLEM_BYTES];
static _Thread_local char sentence[SENTENCE_BYTES];

static const char *const outcomes[] = {
        [0] = "success",
        [BM_E_NOT_FOUND] = "no such key",
        [BM_E_EXISTS] = "the key exists already",
        [BM_E_STALE] = "the key now names another record",
        [BM_E_COUNT] = "the reference count does not allow it",
        [BM_E_INDEX_NO_SPACE] = "no space in the index",
        [BM_E_DATA_NO_SPACE] = "no space in the data",
        [BM_E_NOT_EMPTY] = "the map is not empty",
        [BM_E_IS_MAP] = "the key names a map",
        [BM_E_NOT_MAP] = "the key does not name a map",
        [BM_E_LOOP] = "a map would come to lie within itself",
        [BM_E_NOT_A_STORE] = "not a bucketmap store",
        [BM_E_NOT_EMPTY_DIR] = "the directory is not empty",
        [BM_E_IN_USE] = "the store is in use",
        [BM_E_NEWER_FORMAT] = "the store was written by a newer version",
        [BM_E_DAMAGED] = "the store is damaged",
        [BM_E_MISMATCH] = "a setting or a drive does not belong to this store",
        [BM_E_OLDER_FORMAT] = "the store was written by an older version",
};

const char *bm_strerror(int result)
{
        if (result >= 0 && (size_t)result < bm_array_size(outcomes) && outcomes[result])
                return outcomes[result];
        if (result < 0) {
                /* not the locale's: the result goes to logs that scripts read */
                const char *text = strerrordesc_np(-result);

                if (text)
                        return text;
        }
        snprintf(sentence, sizeof(sentence), "unknown result %d", result);
        return sentence;
}

const char *bm_last_problem(void)
{
        return problem;
}

void bm_problem_set(const char *fmt, ...)
{
        int saved = errno;
        va_list args;

        va_start(args, fmt);
        vsnprintf(problem, sizeof(problem), fmt, args);
        va_end(args);
        errno = saved;
}

void bm_problem_clear(void)
{
        problem[0] = '\0';
}
