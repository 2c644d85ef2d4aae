/*
 * struct idset: an ordered list of non-overlapping id ranges, as written in
 * `--array 1-10,20,30-40:2`. Grammar and messages: reference of the command line, 2.2.
 *   array := range ("," range)*      blanks allowed around a range
 *   range := num | num "-" num | num "-" num ":" num     "_" allowed inside numbers
 */
#ifndef HQ_BASE_IDSET_H
#define HQ_BASE_IDSET_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"

struct idrange {
    uint32_t first;
    uint32_t count; /* number of ids, >= 1 */
    uint32_t step;  /* distance of ids, >= 1; 1 when count is 1 */
    uint32_t slack; /* bound as written ("0-11:5") minus last id; < step */
};

struct idset {
    struct idrange *ranges; /* in the order given, not necessarily ascending */
    size_t n_ranges;
    size_t cap;
};

#define IDSET_INIT \
    {              \
        NULL, 0, 0 \
    }
#define IDSET_ID_MAX (UINT32_MAX - 1)

void idset_release(struct idset *s);
/* Parses the array grammar into *s, whose old ranges are released. The error text has
 * the layout of base/syntax.h. *s is untouched on failure. */
int idset_parse(struct idset *s, const char *text, struct error *err) MUST_CHECK;
/* Adds one range at the end without an overlap check; extends the last range when the
 * ids are consecutive. ERR_INVALID for an empty range or ids above IDSET_ID_MAX. */
int idset_add(struct idset *s, uint32_t first, uint32_t count,
              uint32_t step) MUST_CHECK;
/* Adds a range as it is, without joining it to its neighbour. */
int idset_append(struct idset *s, struct idrange range) MUST_CHECK;
int idset_copy(struct idset *to, const struct idset *from) MUST_CHECK;
uint64_t idset_count(const struct idset *s);
bool idset_contains(const struct idset *s, uint32_t id);
/* The id at position pos in the order given (pos < count). O(ranges). */
uint32_t idset_at(const struct idset *s, uint64_t pos);
uint32_t idset_max(const struct idset *s);  /* 0 when empty */
bool idset_overlaps(const struct idset *s); /* any id twice */
/* Sorted ascending and compressed to runs of consecutive ids (steps are split up), an
 * id that is there twice once. ERR_TOO_BIG above IDSET_SORTED_MAX ranges. */
#define IDSET_SORTED_MAX ((size_t)1 << 26)
int idset_sorted(struct idset *to, const struct idset *from) MUST_CHECK;
/* "1-3,7,10-20:2"; empty text for the empty set. */
void idset_print(const struct idset *s, struct buf *out);
void idset_encode(const struct idset *s, struct buf *out);
/* Refuses counts beyond the input and ids above IDSET_ID_MAX. */
int idset_decode(struct idset *s, struct cursor *c) MUST_CHECK;

struct idset_iter {
    const struct idset *set;
    size_t range;
    uint32_t pos;
};
#define IDSET_ITER(s) \
    {                 \
        (s), 0, 0     \
    }
bool idset_next(struct idset_iter *it, uint32_t *id);

#endif
