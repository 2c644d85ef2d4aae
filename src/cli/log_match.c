#include "cli/log_match.h"

#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static uint8_t small(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* How often a byte comes in the output of programs, roughly; low is rare. */
static unsigned commonness(uint8_t c)
{
    if (c == ' ' || c == '0')
        return 9;
    if (c && strchr("etaoinsr", c))
        return 8;
    if ((c >= '1' && c <= '9') || c == '.')
        return 7;
    if (c >= 'a' && c <= 'z')
        return strchr("jqxzkv", c) ? 3 : 6;
    if (c && strchr("-=:,()/_\"[]\t", c))
        return 5;
    if (c && strchr("HQLB", c))
        return 4; /* each block in a group has these in front */
    return c >= 'A' && c <= 'Z' ? 2 : 1;
}

/* The place of the rarest byte, but not `other`. */
static size_t rarest(const uint8_t *p, size_t n, size_t other)
{
    size_t best = other == 0;
    for (size_t i = best + 1; i < n; i++)
        if (i != other && commonness(p[i]) < commonness(p[best]))
            best = i;
    return best;
}

int log_match_init(struct log_match *m, const char *pattern, bool is_regex,
                   bool ignore_case, struct error *err)
{
    *m = (struct log_match){.is_regex = is_regex, .ignore_case = ignore_case};
    if (is_regex) {
        char why[128];
        int rc = regcomp(&m->regex, pattern,
                         REG_EXTENDED | REG_NOSUB | (ignore_case ? REG_ICASE : 0));
        if (rc == 0)
            return 0;
        (void)regerror(rc, &m->regex, why, sizeof why);
        m->is_regex = false;
        return error_set(err, ERR_INVALID, "bad regular expression '%s': %s", pattern,
                         why);
    }
    if (strchr(pattern, '\n'))
        return error_set(err, ERR_INVALID, "the text to look for is more than a line");
    m->n = strlen(pattern);
    m->text = malloc(m->n + 1);
    if (!m->text)
        return error_nomem(err);
    for (size_t i = 0; i <= m->n; i++)
        m->text[i] = ignore_case ? small((uint8_t)pattern[i]) : (uint8_t)pattern[i];
    if (m->n > 1) {
        m->rare[0] = rarest(m->text, m->n, m->n);
        m->rare[1] = rarest(m->text, m->n, m->rare[0]);
    }
    return 0;
}

void log_match_release(struct log_match *m)
{
    if (m->is_regex)
        regfree(&m->regex);
    free(m->text);
    *m = (struct log_match){0};
}

#ifdef __SSE2__
/* Looks at 16 places at once whether two bytes of the text are there: several times
 * faster than memmem, however common the bytes are. *at: where it stopped. */
static bool holds_wide(const struct log_match *m, const uint8_t *p, size_t n,
                       size_t *at)
{
    const __m128i first = _mm_set1_epi8((char)m->text[m->rare[0]]);
    const __m128i second = _mm_set1_epi8((char)m->text[m->rare[1]]);
    for (; *at + m->n + 15 <= n; *at += 16) {
        const uint8_t *q = p + *at;
        __m128i a = _mm_loadu_si128((const __m128i *)(const void *)(q + m->rare[0]));
        __m128i b = _mm_loadu_si128((const __m128i *)(const void *)(q + m->rare[1]));
        __m128i both =
            _mm_and_si128(_mm_cmpeq_epi8(a, first), _mm_cmpeq_epi8(b, second));
        for (unsigned bits = (unsigned)_mm_movemask_epi8(both); bits; bits &= bits - 1)
            if (memcmp(q + __builtin_ctz(bits), m->text, m->n) == 0)
                return true;
    }
    return false;
}
#endif

static bool holds(const struct log_match *m, const uint8_t *p, size_t n)
{
    size_t at = 0;
    if (m->n > n)
        return false;
    if (m->n <= 1)
        return m->n == 0 || memchr(p, m->text[0], n) != NULL;
#ifdef __SSE2__
    if (holds_wide(m, p, n, &at))
        return true;
#endif
    return memmem(p + at, n - at, m->text, m->n) != NULL;
}

static bool holds_folded(const struct log_match *m, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i + m->n <= n; i++) {
        size_t k = 0;
        while (k < m->n && small(p[i + k]) == m->text[k])
            k++;
        if (k == m->n)
            return true;
    }
    return false;
}

#define REGEX_OVERLAP ((size_t)1 << 20)

size_t log_match_overlap(const struct log_match *m)
{
    if (!m)
        return 0;
    return m->is_regex ? REGEX_OVERLAP : MAX(m->n, (size_t)1) - 1;
}

bool log_match_piece(const struct log_match *m, const uint8_t *p, size_t n, bool first,
                     bool last)
{
    if (!m->is_regex)
        return m->ignore_case ? holds_folded(m, p, n) : holds(m, p, n);
    /* The first byte of a later piece only tells whether a word begins behind it. */
    regmatch_t span = {first || n == 0 ? 0 : 1, (regoff_t)n};
    int flags = REG_STARTEND | (first ? 0 : REG_NOTBOL) | (last ? 0 : REG_NOTEOL);
    return regexec(&m->regex, (const char *)p, 1, &span, flags) == 0;
}

bool log_match_line(const struct log_match *m, const uint8_t *p, size_t n)
{
    return log_match_piece(m, p, n, true, true) != m->invert;
}

/* Bit k - 1 stands for the first k bytes of the text, the last one for all longer
 * beginnings as well. */
#define ENDS_MAX 64u

static uint64_t open_ends(const struct log_match *m, const uint8_t *p, size_t n)
{
    uint64_t ends = 0;
    for (size_t k = MIN(m->n ? m->n - 1 : 0, n); k > 0; k--)
        if (memcmp(p + n - k, m->text, k) == 0)
            ends |= UINT64_C(1) << (MIN(k, (size_t)ENDS_MAX) - 1);
    return ends;
}

bool log_match_in(const struct log_match *m, const uint8_t *p, size_t n,
                  struct buf *fold, uint64_t *ends)
{
    *ends = 0;
    if (m->ignore_case) {
        buf_clear(fold);
        uint8_t *to = buf_extend(fold, n);
        if (!to)
            return true; /* to be looked at again */
        for (size_t i = 0; i < n; i++)
            to[i] = small(p[i]);
        p = to;
    }
    if (holds(m, p, n))
        return true;
    *ends = open_ends(m, p, n);
    return false;
}

/* In the output of most programs there are many kilobytes without it. */
#define RARE_MAX 5u

bool log_match_rare(const struct log_match *m, uint8_t rare[2])
{
    if (m->n == 0)
        return false;
    uint8_t c = m->text[m->rare[0]];
    rare[0] = rare[1] = c;
    if (m->ignore_case && c >= 'a' && c <= 'z')
        rare[1] = (uint8_t)(c & ~0x20);
    return commonness(c) <= RARE_MAX;
}

static bool same_text(const struct log_match *m, size_t from, const uint8_t *p,
                      size_t n)
{
    size_t i = 0;
    while (i < n && (m->ignore_case ? small(p[i]) : p[i]) == m->text[from + i])
        i++;
    return i == n;
}

uint64_t log_match_ends_rare(const struct log_match *m, uint64_t ends)
{
    size_t without = MIN(m->rare[0], (size_t)ENDS_MAX - 1);
    return ends >> without << without;
}

bool log_match_begins_inside(const struct log_match *m, const uint8_t *p, size_t n)
{
    for (size_t k = 1; k <= m->rare[0]; k++)
        if (k + n > m->rare[0] && same_text(m, k, p, MIN(m->n - k, n)))
            return true;
    return false;
}

bool log_match_goes_on(const struct log_match *m, uint64_t ends, const uint8_t *p,
                       size_t n)
{
    if (ends >> (ENDS_MAX - 1))
        return true;
    for (size_t k = 1; ends; k++, ends >>= 1) {
        if (ends & 1 && same_text(m, k, p, MIN(m->n - k, n)))
            return true;
    }
    return false;
}
