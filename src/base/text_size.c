/* Sizes in bytes as people write and read them. */
#include "base/text.h"

#include <strings.h>

#define KIB 1024.0

void text_print_size(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    double value = (double)bytes;
    size_t unit = 0;
    if (bytes < 2048) {
        buf_printf(out, "%u B", (unsigned)bytes);
        return;
    }
    for (value /= KIB; value >= 2 * KIB && unit + 1 < ARRAY_SIZE(units); value /= KIB)
        unit++;
    buf_printf(out, "%.2f %s", value, units[unit]);
}

static const struct {
    const char *name;
    uint64_t bytes;
} size_units[] = {
    {"", 1},
    {"B", 1},
    {"k", 1000},
    {"kB", 1000},
    {"M", 1000000},
    {"MB", 1000000},
    {"G", 1000000000},
    {"GB", 1000000000},
    {"T", 1000000000000},
    {"TB", 1000000000000},
    {"Ki", 1ULL << 10},
    {"KiB", 1ULL << 10},
    {"Mi", 1ULL << 20},
    {"MiB", 1ULL << 20},
    {"Gi", 1ULL << 30},
    {"GiB", 1ULL << 30},
    {"Ti", 1ULL << 40},
    {"TiB", 1ULL << 40},
};

static int refuse(struct error *err, const char *s)
{
    return error_set(
        err, ERR_PARSE,
        "invalid size '%.100s': a number with a unit is needed, for example "
        "'100', '64kB' or '1.5GiB'",
        s);
}

/* number[.fraction] [unit]; a fraction of a byte is cut off. */
int text_parse_size(const char *s, uint64_t *bytes, struct error *err)
{
    const char *p = s;
    uint64_t whole = 0, numerator = 0, scale = 1;
    bool large = false;
    if (*p < '0' || *p > '9')
        return refuse(err, s);
    for (; (*p >= '0' && *p <= '9') || *p == '_'; p++)
        if (*p != '_')
            large |= MUL_OVERFLOWS(whole, 10, &whole) ||
                     ADD_OVERFLOWS(whole, (uint64_t)(*p - '0'), &whole);
    if (*p == '.') {
        p++;
        if (*p < '0' || *p > '9')
            return refuse(err, s);
        for (; *p >= '0' && *p <= '9'; p++) {
            if (scale >= 1000000) /* finer digits do not matter */
                continue;
            numerator = numerator * 10 + (uint64_t)(*p - '0');
            scale *= 10;
        }
    }
    while (*p == ' ')
        p++;
    for (size_t i = 0; i < ARRAY_SIZE(size_units); i++) {
        if (strcasecmp(p, size_units[i].name) != 0)
            continue;
        uint64_t unit = size_units[i].bytes, total;
        if (large || MUL_OVERFLOWS(whole, unit, &total) ||
            ADD_OVERFLOWS(total, unit * numerator / scale, &total))
            return error_set(err, ERR_PARSE, "size '%.100s' is too large", s);
        *bytes = total;
        return 0;
    }
    return refuse(err, s);
}
