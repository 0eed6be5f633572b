/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target: a program of libFuzzer's when built with -Dfuzz=true, and with
 * replay.c an ordinary test that tries the corpus and some inputs of its own.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#endif
