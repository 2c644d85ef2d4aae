#include "base/cursor.h"

#include <stdlib.h>

uint64_t cursor_varint_long(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (c->p == c->end)
            break;
        uint8_t byte = *c->p++;
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    cursor_fail(c);
    return 0;
}

char *cursor_strdup(struct cursor *c, size_t max)
{
    struct span s = cursor_bytes(c);
    if (c->failed)
        return NULL;
    if (s.n > max || (s.n && memchr(s.p, 0, s.n))) {
        cursor_fail(c);
        return NULL;
    }
    char *text = malloc(s.n + 1);
    if (!text) {
        cursor_fail(c);
        return NULL;
    }
    if (s.n)
        memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return text;
}

size_t cursor_count(struct cursor *c, size_t min_size)
{
    uint64_t n = cursor_varint(c);
    if (min_size == 0)
        min_size = 1;
    if (n > cursor_left(c) / min_size) {
        cursor_fail(c);
        return 0;
    }
    return (size_t)n;
}
