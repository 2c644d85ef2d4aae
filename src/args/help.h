/* Help texts: `-h` (short, without the global options) and `--help`. */
#ifndef HQ_ARGS_HELP_H
#define HQ_ARGS_HELP_H

#include "args/args.h"

void help_print(const struct args *a, bool whole, struct buf *out);

/* The option's facts behind its help: "[default: 5]", "[env: HQ_DEBUG]" and so on, each
 * introduced by `before`. */
void help_print_facts(const struct opt *opt, const char *before, struct buf *out);

#endif
