/* Names and layouts as in RFC 8878, sections 3.1.1 and 4. */
#include "outlog/literals.h"

#include <string.h>

#define MAGIC UINT32_C(0xFD2FB528)
#define SYMBOLS_MAX 256u
/* Of the weights of a Huffman tree. */
#define WEIGHT_MAX 11u
#define ACCURACY_MAX 6u
#define STATES_MAX (1u << ACCURACY_MAX)

struct looked_for {
    uint8_t a, b;
};

static bool is_in(const struct looked_for *l, const uint8_t *p, size_t n)
{
    return memchr(p, l->a, n) || (l->b != l->a && memchr(p, l->b, n));
}

/* ---- bits ---------------------------------------------------------------------------
 */

/* n bits from the bit-th on, the lowest first; zeros behind the end. */
static uint32_t bits_at(const uint8_t *p, size_t len, size_t bit, unsigned n)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < n; i++, bit++)
        if (bit / 8 < len && p[bit / 8] >> (bit % 8) & 1)
            value |= UINT32_C(1) << i;
    return value;
}

/* A stream that is read from its end; the highest bit that is set is not part of it. */
struct backward {
    const uint8_t *p;
    size_t len, left; /* left: bits */
    bool over;        /* more was read than there is */
};

static bool backward_init(struct backward *b, const uint8_t *p, size_t len)
{
    if (len == 0 || p[len - 1] == 0)
        return false;
    unsigned high = 31u - (unsigned)__builtin_clz(p[len - 1]);
    *b = (struct backward){.p = p, .len = len, .left = 8 * (len - 1) + high};
    return true;
}

static uint32_t backward_read(struct backward *b, unsigned n)
{
    if (n <= b->left) {
        b->left -= n;
        return bits_at(b->p, b->len, b->left, n);
    }
    uint32_t value = bits_at(b->p, b->len, 0, (unsigned)b->left)
                     << (n - (unsigned)b->left);
    b->left = 0;
    b->over = true;
    return value;
}

/* ---- the weights of a Huffman tree, packed with FSE
 * -----------------------------------
 */

struct fse {
    unsigned accuracy;
    uint8_t symbol[STATES_MAX], n_bits[STATES_MAX], base[STATES_MAX];
};

/* Normalized counts, -1: less than one. Bytes of the description, 0: malformed. */
static size_t read_counts(const uint8_t *p, size_t n, unsigned *accuracy,
                          int counts[WEIGHT_MAX + 2])
{
    size_t bit = 4;
    *accuracy = 5 + (unsigned)bits_at(p, n, 0, 4);
    if (*accuracy > ACCURACY_MAX)
        return 0;
    int left = 1 << *accuracy;
    unsigned symbol = 0;
    while (left > 0 && symbol <= WEIGHT_MAX) {
        /* A value of [0, left + 1]; the smaller ones have a bit less. */
        unsigned width = 32u - (unsigned)__builtin_clz((unsigned)left + 1);
        uint32_t few = (UINT32_C(1) << width) - 2 - (uint32_t)left;
        uint32_t value = bits_at(p, n, bit, width - 1);
        bit += width - 1;
        if (value >= few) {
            value |= bits_at(p, n, bit++, 1) << (width - 1);
            if (value >= UINT32_C(1) << (width - 1))
                value -= few;
        }
        int count = (int)value - 1;
        counts[symbol++] = count;
        left -= count < 0 ? 1 : count;
        for (uint32_t repeat = count == 0 ? 3 : 0; repeat == 3;) {
            repeat = bits_at(p, n, bit, 2);
            bit += 2;
            for (uint32_t i = 0; i < repeat && symbol <= WEIGHT_MAX; i++)
                counts[symbol++] = 0;
        }
    }
    return left == 0 && bit <= 8 * n ? (bit + 7) / 8 : 0;
}

/* The states of each symbol, spread over the table. */
static bool build_table(struct fse *t, const int *counts)
{
    unsigned size = 1u << t->accuracy, high = size, at = 0;
    unsigned next[WEIGHT_MAX + 2];
    for (unsigned s = 0; s <= WEIGHT_MAX; s++) {
        next[s] = counts[s] < 0 ? 1 : (unsigned)counts[s];
        if (counts[s] < 0)
            t->symbol[--high] = (uint8_t)s;
    }
    for (unsigned s = 0; s <= WEIGHT_MAX; s++)
        for (int i = 0; i < counts[s]; i++) {
            t->symbol[at] = (uint8_t)s;
            do
                at = (at + (size >> 1) + (size >> 3) + 3) & (size - 1);
            while (at >= high);
        }
    for (unsigned i = 0; i < size; i++) {
        unsigned state = next[t->symbol[i]]++;
        if (state == 0)
            return false;
        unsigned n_bits = t->accuracy - (31u - (unsigned)__builtin_clz(state));
        t->n_bits[i] = (uint8_t)n_bits;
        t->base[i] = (uint8_t)((state << n_bits) - size);
    }
    return at == 0;
}

/* How many weights there are; 0: malformed. */
static size_t read_packed_weights(const uint8_t *p, size_t n, uint8_t *weights)
{
    int counts[WEIGHT_MAX + 2] = {0};
    struct fse t;
    struct backward b;
    size_t used = read_counts(p, n, &t.accuracy, counts);
    if (used == 0 || !build_table(&t, counts) || !backward_init(&b, p + used, n - used))
        return 0;
    unsigned states[2];
    for (unsigned i = 0; i < 2; i++)
        states[i] = backward_read(&b, t.accuracy);
    for (size_t count = 0; !b.over && count + 2 < SYMBOLS_MAX;) {
        unsigned *state = &states[count % 2];
        weights[count++] = t.symbol[*state];
        *state = t.base[*state] + backward_read(&b, t.n_bits[*state]);
        if (b.over) {
            weights[count] = t.symbol[states[count % 2]];
            return count + 1;
        }
    }
    return 0;
}

/* The weights that are stored; the symbol behind them has what is left. 0: malformed.
 */
static size_t read_weights(const uint8_t *p, size_t n, uint8_t *weights)
{
    if (n == 0)
        return 0;
    size_t size = p[0];
    if (size < 128)
        return size < n ? read_packed_weights(p + 1, size, weights) : 0;
    size -= 127;
    if ((size + 1) / 2 >= n)
        return 0;
    for (size_t i = 0; i < size; i++)
        weights[i] = i % 2 ? p[1 + i / 2] & 15 : p[1 + i / 2] >> 4;
    return size;
}

static bool has_code(uint8_t symbol, const uint8_t *weights, size_t n)
{
    return symbol == n || (symbol < n && weights[symbol] > 0);
}

/* ---- blocks -------------------------------------------------------------------------
 */

enum literals_type { LITERALS_RAW, LITERALS_RLE, LITERALS_CODED, LITERALS_TREELESS };

/* Literals that are not coded begin the block. */
static bool plain_may_hold(const struct looked_for *l, const uint8_t *p, size_t n,
                           bool repeated)
{
    static const unsigned headers[] = {1, 2, 1, 3};
    unsigned format = p[0] >> 2 & 3, header = headers[format];
    size_t size = bits_at(p, n, header == 1 ? 3 : 4, header == 1 ? 5 : 8 * header - 4);
    if (repeated)
        size = 1;
    return header + size > n || is_in(l, p + header, size);
}

/* A compressed block. *tree: one was read, later blocks may use it again. */
static bool block_may_hold(const struct looked_for *l, const uint8_t *p, size_t n,
                           bool *tree)
{
    static const unsigned headers[] = {3, 3, 4, 5};
    uint8_t weights[SYMBOLS_MAX];
    if (n == 0)
        return true;
    switch ((enum literals_type)(p[0] & 3)) {
    case LITERALS_RAW:
        return plain_may_hold(l, p, n, false);
    case LITERALS_RLE:
        return plain_may_hold(l, p, n, true);
    case LITERALS_TREELESS:
        return !*tree; /* neither has a code in it */
    case LITERALS_CODED:
        break;
    }
    size_t header = headers[p[0] >> 2 & 3];
    size_t count = header < n ? read_weights(p + header, n - header, weights) : 0;
    *tree = true;
    return count == 0 || has_code(l->a, weights, count) ||
           has_code(l->b, weights, count);
}

/* Bytes of the frame header; 0: malformed, or there is a dictionary. */
static size_t frame_header(const uint8_t *frame, size_t n)
{
    static const unsigned sizes[] = {0, 2, 4, 8};
    if (n < 5 || bits_at(frame, n, 0, 32) != MAGIC || frame[4] & 3)
        return 0;
    bool single = frame[4] >> 5 & 1;
    unsigned size = sizes[frame[4] >> 6];
    return 5 + (single ? MAX(size, 1u) : size + 1);
}

bool literals_may_hold(const uint8_t *frame, size_t n, uint8_t a, uint8_t b)
{
    struct looked_for l = {a, b};
    bool tree = false, last = false;
    size_t at = frame_header(frame, n);
    if (at == 0)
        return true;
    while (!last) {
        if (n < 3 || at > n - 3)
            return true;
        uint32_t header = bits_at(frame + at, 3, 0, 24);
        unsigned type = header >> 1 & 3;
        size_t size = type == 1 ? 1 : header >> 3;
        last = header & 1;
        at += 3;
        if (size > n - at || type == 3)
            return true;
        if (type == 2 ? block_may_hold(&l, frame + at, size, &tree)
                      : is_in(&l, frame + at, size))
            return true;
        at += size;
    }
    return false;
}
