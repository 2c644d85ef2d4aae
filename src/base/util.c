#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>

void hq_assert_failed(const char *cond, const char *file, int line, const char *func)
{
    (void)fprintf(stderr, "%s:%d: %s: invariant broken: %s\n", file, line, func, cond);
    abort();
}
