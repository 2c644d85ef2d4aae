/* The same work on several things at once. */
#ifndef HQ_BASE_PARALLEL_H
#define HQ_BASE_PARALLEL_H

#include "base/util.h"

#define PARALLEL_MAX 8u

/*
 * Calls fn for each of n (up to PARALLEL_MAX) elements of an array, the first one on
 * the calling thread, the others on threads of their own, or here when there are none
 * to be had. Returns when all have.
 */
void parallel_run(void (*fn)(void *element), void *array, size_t stride, size_t n);
/* As many as there are CPUs for this process, at most PARALLEL_MAX. */
uint32_t parallel_width(void);

#endif
