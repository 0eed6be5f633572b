/* SPDX-License-Identifier: MIT */
/*
 * Threads in turns: of all threads that the store and the test make, one runs
 * at a time, and who goes on at which lock, wait, or file operation follows
 * from a seed. So what happens between threads can be repeated. The linker
 * puts this in the place of pthread_* (see meson.build).
 *
 * Time stands still while anybody can run; when all wait, it passes to the
 * first who waits for a moment. If nobody does, they wait for each other:
 * that ends the process, with a report.
 */
#ifndef TURNS_H
#define TURNS_H

#include <stdbool.h>
#include <stdint.h>

/* The calling thread is number 0; threads made from here on take turns with it. */
void turns_begin(uint64_t seed);
/* All others must have ended, and been joined. */
void turns_end(void);

/* Another thread may go on here. */
void turns_point(void);
/* Everybody else may go on for so long. */
void turns_sleep(uint64_t ns);
/* The calling thread's number; 0 if there are no turns. */
unsigned turns_self(void);
bool turns_running(void);

#endif
