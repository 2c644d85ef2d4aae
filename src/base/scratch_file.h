/*
 * A file that is of no use before it is complete: SIGHUP, SIGINT, SIGTERM and those of
 * the limits of CPU time and file size, where they end the program, remove it first.
 * One at a time.
 */
#ifndef HQ_BASE_SCRATCH_FILE_H
#define HQ_BASE_SCRATCH_FILE_H

#include "base/util.h"

/* The path is copied; one that is too long is not guarded. */
void scratch_file_guard(const char *path);
/* It is complete, or was removed. */
void scratch_file_release(void);

#endif
