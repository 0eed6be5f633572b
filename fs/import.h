/* SPDX-License-Identifier: MIT */
/* From an archive into a sink. */
#ifndef FS_IMPORT_H
#define FS_IMPORT_H

#include "archive_in.h"
#include "sink.h"
#include "transfer.h"

/*
 * Stores every entry of IN; what cannot be stored is reported to TRANSFER, and
 * the work goes on. 0, or a negative errno if the archive could not be read to
 * its end, or what was stored could not be made durable.
 */
int import_all(struct archive_in *in, struct sink *sink, struct transfer *transfer,
               const char **problem);

#endif
