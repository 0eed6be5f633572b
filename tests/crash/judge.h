/* SPDX-License-Identifier: MIT */
/* Whether an open store is what it ought to be; x->problem says what not. */
#ifndef JUDGE_H
#define JUDGE_H

#include "model.h"
#include "scene.h"

/* No checksum or invariant of it may fail. */
void judge_whole(struct explorer *x, struct bm_store *store);
/* It must be one of the steps that PAST allows: returns which, or -1. *MODEL
 * gets what it holds. */
long judge(struct explorer *x, struct bm_store *store, const struct past *past,
           struct model *model);
/* It holds what the N models hold. */
void judge_models(struct explorer *x, struct bm_store *store, const struct model *models,
                  unsigned n);

#endif
