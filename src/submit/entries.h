/* Entries of tasks (HQ_ENTRY): the lines of a file or the elements of a JSON array. */
#ifndef HQ_SUBMIT_ENTRIES_H
#define HQ_SUBMIT_ENTRIES_H

#include "args/notices.h"
#include "base/cursor.h"

struct entries {
    struct span *items; /* point into data */
    size_t n;
    struct buf data;
};

/* One entry a line, split at '\n' only; bytes are kept as they are. */
int entries_read_lines(const char *path, struct notices *notices, struct entries *e,
                       struct error *err) MUST_CHECK;
/* One entry an element of the top array, as compact JSON. */
int entries_read_json(const char *path, struct notices *notices, struct entries *e,
                      struct error *err) MUST_CHECK;
void entries_release(struct entries *e);

#endif
