#include "base/idset.h"

#include <stdlib.h>
#include <string.h>

static uint32_t last_id(const struct idrange *r)
{
    return r->first + (r->count - 1) * r->step;
}

void idset_release(struct idset *s)
{
    free(s->ranges);
    *s = (struct idset)IDSET_INIT;
}

static int reserve(struct idset *s, size_t n)
{
    if (n <= s->cap)
        return 0;
    size_t cap = MAX(n, MAX(s->cap + s->cap / 2, (size_t)4));
    size_t size;
    if (MUL_OVERFLOWS(cap, sizeof *s->ranges, &size))
        return ERR_NOMEM;
    struct idrange *ranges = realloc(s->ranges, size);
    if (!ranges)
        return ERR_NOMEM;
    s->ranges = ranges;
    s->cap = cap;
    return 0;
}

static bool is_valid(const struct idrange *r)
{
    if (r->count == 0 || r->step == 0 || (r->count == 1 && r->step != 1))
        return false;
    if (r->slack && r->slack >= r->step)
        return false;
    return (uint64_t)r->first + (uint64_t)(r->count - 1) * r->step + r->slack <=
           IDSET_ID_MAX;
}

int idset_append(struct idset *s, struct idrange range)
{
    if (!is_valid(&range))
        return ERR_INVALID;
    if (reserve(s, s->n_ranges + 1) != 0)
        return ERR_NOMEM;
    s->ranges[s->n_ranges++] = range;
    return 0;
}

int idset_add(struct idset *s, uint32_t first, uint32_t count, uint32_t step)
{
    struct idrange range = {first, count, count == 1 ? 1 : step, 0};
    if (!is_valid(&range))
        return ERR_INVALID;
    if (s->n_ranges && range.step == 1) {
        struct idrange *last = &s->ranges[s->n_ranges - 1];
        if (last->step == 1 && first == last->first + last->count) {
            last->count += count;
            return 0;
        }
    }
    return idset_append(s, range);
}

int idset_copy(struct idset *to, const struct idset *from)
{
    if (to == from)
        return 0;
    struct idset copy = IDSET_INIT;
    if (from->n_ranges) {
        if (reserve(&copy, from->n_ranges) != 0)
            return ERR_NOMEM;
        memcpy(copy.ranges, from->ranges, from->n_ranges * sizeof *copy.ranges);
        copy.n_ranges = from->n_ranges;
    }
    idset_release(to);
    *to = copy;
    return 0;
}

uint64_t idset_count(const struct idset *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_ranges; i++)
        n += s->ranges[i].count;
    return n;
}

bool idset_contains(const struct idset *s, uint32_t id)
{
    for (size_t i = 0; i < s->n_ranges; i++) {
        const struct idrange *r = &s->ranges[i];
        if (id < r->first)
            continue;
        uint32_t distance = id - r->first;
        if (distance / r->step < r->count && distance % r->step == 0)
            return true;
    }
    return false;
}

uint32_t idset_at(const struct idset *s, uint64_t pos)
{
    for (size_t i = 0; i < s->n_ranges; i++) {
        const struct idrange *r = &s->ranges[i];
        if (pos < r->count)
            return r->first + (uint32_t)pos * r->step;
        pos -= r->count;
    }
    bool position_is_inside = false;
    HQ_ASSERT(position_is_inside);
    return 0;
}

uint32_t idset_max(const struct idset *s)
{
    uint32_t max = 0;
    for (size_t i = 0; i < s->n_ranges; i++)
        max = MAX(max, last_id(&s->ranges[i]));
    return max;
}

static int compare_first(const void *a, const void *b)
{
    uint32_t x = ((const struct idrange *)a)->first,
             y = ((const struct idrange *)b)->first;
    return (x > y) - (x < y);
}

static bool ascending(const struct idset *s)
{
    for (size_t i = 1; i < s->n_ranges; i++)
        if (s->ranges[i].first <= last_id(&s->ranges[i - 1]))
            return false;
    return true;
}

int idset_sorted(struct idset *to, const struct idset *from)
{
    uint64_t pieces = 0;
    for (size_t i = 0; i < from->n_ranges; i++)
        pieces += from->ranges[i].step == 1 ? 1 : from->ranges[i].count;
    if (pieces > IDSET_SORTED_MAX)
        return ERR_TOO_BIG;
    struct idset out = IDSET_INIT;
    if (pieces && reserve(&out, (size_t)pieces) != 0)
        return ERR_NOMEM;
    for (size_t i = 0; i < from->n_ranges; i++) {
        struct idrange r = from->ranges[i];
        if (r.step == 1) {
            out.ranges[out.n_ranges++] = r;
            continue;
        }
        for (uint32_t k = 0; k < r.count; k++)
            out.ranges[out.n_ranges++] =
                (struct idrange){r.first + k * r.step, 1, 1, 0};
    }
    if (!ascending(&out))
        qsort(out.ranges, out.n_ranges, sizeof *out.ranges, compare_first);
    size_t n = 0;
    for (size_t i = 0; i < out.n_ranges; i++) {
        struct idrange r = out.ranges[i];
        struct idrange *prev = n ? &out.ranges[n - 1] : NULL;
        if (prev && r.first <= prev->first + prev->count)
            prev->count = MAX(prev->count, r.first + r.count - prev->first);
        else
            out.ranges[n++] = r;
    }
    out.n_ranges = n;
    idset_release(to);
    *to = out;
    return 0;
}

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* x with a * x = 1 modulo m, for coprime a and m > 1. */
static uint64_t inverse(uint64_t a, uint64_t m)
{
    int64_t r0 = (int64_t)m, r1 = (int64_t)(a % m), t0 = 0, t1 = 1;
    while (r1) {
        int64_t q = r0 / r1, r = r0 - q * r1, t = t0 - q * t1;
        r0 = r1;
        r1 = r;
        t0 = t1;
        t1 = t;
    }
    return (uint64_t)(t0 < 0 ? t0 + (int64_t)m : t0);
}

/* Whether two ranges share an id: their progressions meet every lcm(steps) ids. */
static bool ranges_meet(const struct idrange *a, const struct idrange *b)
{
    uint64_t low = MAX(a->first, b->first);
    uint64_t high = MIN(last_id(a), last_id(b));
    if (low > high)
        return false;
    uint32_t g = gcd(a->step, b->step);
    uint32_t apart = a->first > b->first ? a->first - b->first : b->first - a->first;
    if (apart % g)
        return false;
    /* Smallest k with a->first + k * a->step = b->first modulo b->step. */
    uint64_t m = b->step / g, k = 0;
    if (m > 1) {
        uint64_t diff = (apart / g) % m;
        if (a->first > b->first)
            diff = (m - diff) % m;
        k = diff * inverse(a->step / g, m) % m;
    }
    uint64_t period = m * a->step;
    uint64_t meet = a->first + k * a->step;
    if (meet < low)
        meet += (low - meet + period - 1) / period * period;
    return meet <= high;
}

/* Ranges sorted by their first id; each is compared with those that reach it. */
static bool sorted_overlap(struct idrange *r, size_t n)
{
    size_t n_open = 0; /* r[0..n_open) may reach r[i]; the rest before i ended */
    for (size_t i = 0; i < n; i++) {
        struct idrange range = r[i];
        size_t kept = 0;
        for (size_t k = 0; k < n_open; k++) {
            if (last_id(&r[k]) < range.first)
                continue;
            if (ranges_meet(&r[k], &range))
                return true;
            r[kept++] = r[k];
        }
        r[kept] = range;
        n_open = kept + 1;
    }
    return false;
}

bool idset_overlaps(const struct idset *s)
{
    if (ascending(s))
        return false;
    struct idset copy = IDSET_INIT;
    bool found = false;
    if (idset_copy(&copy, s) == 0) {
        qsort(copy.ranges, copy.n_ranges, sizeof *copy.ranges, compare_first);
        found = sorted_overlap(copy.ranges, copy.n_ranges);
        idset_release(&copy);
        return found;
    }
    /* Without memory: every pair. */
    for (size_t i = 0; i < s->n_ranges && !found; i++)
        for (size_t k = 0; k < i && !found; k++)
            found = ranges_meet(&s->ranges[k], &s->ranges[i]);
    return found;
}

void idset_print(const struct idset *s, struct buf *out)
{
    for (size_t i = 0; i < s->n_ranges; i++) {
        const struct idrange *r = &s->ranges[i];
        buf_printf(out, "%s%u", i ? "," : "", r->first);
        if (r->count > 1)
            buf_printf(out, "-%u", last_id(r) + r->slack);
        if (r->step > 1)
            buf_printf(out, ":%u", r->step);
    }
}

/*
 * Per range: zig-zag distance of the first id from the id behind the previous range,
 * varint(count << 2 | slack there << 1 | step there), then step and slack if there.
 */
#define RANGE_HAS_STEP 1U
#define RANGE_HAS_SLACK 2U
#define RANGE_SIZE_MIN 2

void idset_encode(const struct idset *s, struct buf *out)
{
    int64_t next = 0;
    buf_varint(out, s->n_ranges);
    for (size_t i = 0; i < s->n_ranges; i++) {
        const struct idrange *r = &s->ranges[i];
        buf_zigzag(out, (int64_t)r->first - next);
        buf_varint(out, (uint64_t)r->count << 2 | (r->slack ? RANGE_HAS_SLACK : 0) |
                            (r->step > 1 ? RANGE_HAS_STEP : 0));
        if (r->step > 1)
            buf_varint(out, r->step);
        if (r->slack)
            buf_varint(out, r->slack);
        next = (int64_t)last_id(r) + 1;
    }
}

static bool decode_range(struct idrange *r, int64_t *next, struct cursor *c)
{
    int64_t distance = cursor_zigzag(c);
    uint64_t head = cursor_varint(c);
    uint64_t count = head >> 2;
    uint32_t step = head & RANGE_HAS_STEP ? cursor_varint32(c) : 1;
    uint32_t slack = head & RANGE_HAS_SLACK ? cursor_varint32(c) : 0;
    int64_t first;
    if (c->failed || ADD_OVERFLOWS(*next, distance, &first))
        return false;
    if (first < 0 || first > IDSET_ID_MAX || count > UINT32_MAX)
        return false;
    *r = (struct idrange){(uint32_t)first, (uint32_t)count, step, slack};
    if (!is_valid(r))
        return false;
    *next = (int64_t)last_id(r) + 1;
    return true;
}

int idset_decode(struct idset *s, struct cursor *c)
{
    struct idset out = IDSET_INIT;
    size_t n = cursor_count(c, RANGE_SIZE_MIN);
    int64_t next = 0;
    if (c->failed)
        return ERR_CORRUPT;
    if (n && reserve(&out, n) != 0) {
        cursor_fail(c);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        if (!decode_range(&out.ranges[i], &next, c)) {
            idset_release(&out);
            cursor_fail(c);
            return ERR_CORRUPT;
        }
    }
    out.n_ranges = n;
    idset_release(s);
    *s = out;
    return 0;
}

bool idset_next(struct idset_iter *it, uint32_t *id)
{
    while (it->range < it->set->n_ranges) {
        const struct idrange *r = &it->set->ranges[it->range];
        if (it->pos < r->count) {
            *id = r->first + it->pos++ * r->step;
            return true;
        }
        it->range++;
        it->pos = 0;
    }
    return false;
}
