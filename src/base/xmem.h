/*
 * Aborting allocators, for server, worker, cli and for bounded sizes only: a size that
 * came from outside is checked against a named maximum first. base to client return
 * ERR_NOMEM instead and use malloc directly.
 */
#ifndef HQ_BASE_XMEM_H
#define HQ_BASE_XMEM_H

#include <stddef.h>
#include "base/util.h"

void *xmalloc(size_t size) __attribute__((malloc));
void *xcalloc(size_t n, size_t size) __attribute__((malloc));
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *s) __attribute__((malloc));
char *xstrndup(const char *s, size_t n) __attribute__((malloc));
char *xasprintf(const char *fmt, ...) PRINTF(1, 2);
void *xmemdup(const void *p, size_t n);

#endif
