/* Map from text to pointer; copies its keys, borrows its values. uthash lives here. */
#ifndef HQ_BASE_STRMAP_H
#define HQ_BASE_STRMAP_H

#include "base/util.h"

struct strmap; /* opaque */

struct strmap *strmap_create(void); /* NULL: out of memory */
void strmap_destroy(struct strmap *m);
/* 0, ERR_EXISTS (value untouched) or ERR_NOMEM. */
int strmap_add(struct strmap *m, const char *key, size_t key_len,
               void *value) MUST_CHECK;
void *strmap_get(const struct strmap *m, const char *key, size_t key_len); /* or NULL */
void *strmap_remove(struct strmap *m, const char *key, size_t key_len);
size_t strmap_count(const struct strmap *m);
/* Calls fn for every entry in the order of adding; fn must not change the map. */
void strmap_each(const struct strmap *m,
                 void (*fn)(const char *key, void *value, void *arg), void *arg);

#endif
