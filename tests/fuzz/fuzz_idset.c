/*
 * Ranges: the text parser and the decoder. What either accepts must survive printing,
 * encoding and sorting unchanged.
 */
#include <stdlib.h>
#include <string.h>
#include "base/idset.h"

#define INPUT_MAX 4096
#define IDS_WALKED_MAX 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct idset *a, const struct idset *b)
{
    if (a->n_ranges != b->n_ranges)
        return false;
    for (size_t i = 0; i < a->n_ranges; i++) {
        const struct idrange *x = &a->ranges[i], *y = &b->ranges[i];
        if (x->first != y->first || x->count != y->count || x->step != y->step ||
            x->slack != y->slack)
            return false;
    }
    return true;
}

static void check_encoding(const struct idset *s)
{
    struct buf bytes = BUF_INIT(BUF_MAX_DEFAULT);
    struct idset back = IDSET_INIT;
    idset_encode(s, &bytes);
    struct cursor c = cursor_make(bytes.data, bytes.len);
    HQ_ASSERT(idset_decode(&back, &c) == 0 && cursor_left(&c) == 0 && same(s, &back));
    idset_release(&back);
    buf_release(&bytes);
}

static void check_text(const struct idset *s)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct idset back = IDSET_INIT;
    struct error err = ERROR_INIT;
    idset_print(s, &text);
    HQ_ASSERT(idset_parse(&back, buf_cstr(&text), &err) == 0 && same(s, &back));
    idset_release(&back);
    buf_release(&text);
}

static void check_order(const struct idset *s)
{
    struct idset sorted = IDSET_INIT;
    uint64_t count = idset_count(s);
    if (count > IDS_WALKED_MAX)
        return;
    HQ_ASSERT(idset_sorted(&sorted, s) == 0);
    uint64_t distinct = idset_count(&sorted);
    HQ_ASSERT((distinct < count) == idset_overlaps(s));
    struct idset_iter it = IDSET_ITER(s);
    uint32_t id, max = 0;
    uint64_t pos = 0;
    while (idset_next(&it, &id)) {
        HQ_ASSERT(idset_at(s, pos++) == id && id <= IDSET_ID_MAX);
        max = MAX(max, id);
    }
    HQ_ASSERT(pos == count && max == idset_max(s));
    idset_release(&sorted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct idset s = IDSET_INIT;
    struct error err = ERROR_INIT;
    char text[INPUT_MAX + 1];
    if (size > INPUT_MAX)
        return 0;
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    if (idset_parse(&s, text, &err) == 0) {
        HQ_ASSERT(!idset_overlaps(&s) && s.n_ranges > 0);
        check_text(&s);
        check_encoding(&s);
        check_order(&s);
    } else {
        HQ_ASSERT(s.n_ranges == 0 && err.text[0] != '\0');
    }
    idset_release(&s);

    struct cursor c = cursor_make(data, size);
    if (idset_decode(&s, &c) == 0) {
        check_encoding(&s);
        check_order(&s);
    }
    idset_release(&s);
    return 0;
}
