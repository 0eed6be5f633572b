/* SPDX-License-Identifier: MIT */
/* Telling a service manager how it goes: the protocol of sd_notify(3). */
#ifndef FS_SERVICE_H
#define FS_SERVICE_H

#define SERVICE_READY    "READY=1"
#define SERVICE_STOPPING "STOPPING=1"

/*
 * Sends STATE to the socket that $NOTIFY_SOCKET names, if there is one. 0 or
 * a negative errno. Any thread.
 */
int service_tell(const char *state);

#endif
