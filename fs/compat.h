/* SPDX-License-Identifier: MIT */
/* libfuse's headers, in the version of the interface that we use. */
#ifndef FS_COMPAT_H
#define FS_COMPAT_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif

#include <fuse_lowlevel.h>
#include <fuse_opt.h>

#endif
