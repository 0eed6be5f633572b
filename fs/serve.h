/* SPDX-License-Identifier: MIT */
/* The life of a daemon: open the store, mount it, serve, close. */
#ifndef FS_SERVE_H
#define FS_SERVE_H

struct daemon;
struct mount_options;

/*
 * STORE and DIR are absolute. Returns an exit code when everything is
 * closed, after a message if it is not COMMAND_FINE; DAEMON hears when the
 * mount answers.
 */
int serve(const char *store, const char *dir, struct mount_options *options, struct daemon *daemon);

#endif
