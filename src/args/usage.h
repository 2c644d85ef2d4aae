/* The "Usage:" line, whole or narrowed to what the user gave. */
#ifndef HQ_ARGS_USAGE_H
#define HQ_ARGS_USAGE_H

#include "args/args_build.h"

/* "hq submit [OPTIONS] <COMMANDS>..." */
void usage_print(const struct args *a, struct buf *out);
/*
 * "hq worker list --all": required options, those given so far and `extra` (may be
 * NULL), without `but` (NULL-ended array, may be NULL).
 */
void usage_print_given(const struct args *a, const struct opt *extra,
                       const struct slot *const *but, struct buf *out);

#endif
