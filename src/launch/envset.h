/*
 * struct envset: environment of a template, indexed by variable name, so that the few
 * variables of a task replace or join it without a scan. Built once, then read by many
 * threads. Borrows the strings. Private to this folder.
 */
#ifndef HQ_LAUNCH_ENVSET_H
#define HQ_LAUNCH_ENVSET_H

#include "base/util.h"

struct envset {
    const char **vars; /* "KEY=VALUE"; not NULL-terminated */
    size_t n, cap;
    uint32_t *index; /* hash table of positions in vars plus 1; 0: free */
    size_t mask;     /* its size minus 1 */
};

/* An empty set that takes up to max variables. False: no memory. */
bool envset_init(struct envset *e, size_t max) MUST_CHECK;
void envset_release(struct envset *e);
/* Adds or replaces. */
void envset_set(struct envset *e, const char *var);
/* Position of the variable of the same name ("KEY" or "KEY=VALUE"); n: none. */
size_t envset_find(const struct envset *e, const char *var);
/* Length of the name in "KEY" or "KEY=VALUE". */
size_t env_name_len(const char *var);

#endif
