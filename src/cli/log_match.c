#include "cli/log_match.h"

#include <stdlib.h>
#include <string.h>

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
    return c >= 'A' && c <= 'Z' ? 2 : 1;
}

static size_t rarest(const uint8_t *p, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (commonness(p[i]) < commonness(p[best]))
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
    m->rare = m->n ? rarest(m->text, m->n) : 0;
    return 0;
}

void log_match_release(struct log_match *m)
{
    if (m->is_regex)
        regfree(&m->regex);
    free(m->text);
    *m = (struct log_match){0};
}

/* False finds of the rare byte after which looking for the whole text is quicker. */
#define FALSE_FINDS 256u

/* memchr runs several times faster than memmem, as long as the byte is rare. */
static bool holds(const struct log_match *m, const uint8_t *p, size_t n)
{
    if (m->n > n)
        return false;
    if (m->n == 0)
        return true;
    const uint8_t *at = p + m->rare, *end = p + n - (m->n - 1 - m->rare);
    for (unsigned finds = 0; finds < FALSE_FINDS; finds++) {
        at = at < end ? memchr(at, m->text[m->rare], (size_t)(end - at)) : NULL;
        if (!at)
            return false;
        if (memcmp(at - m->rare, m->text, m->n) == 0)
            return true;
        at++;
    }
    at -= m->rare;
    return memmem(at, (size_t)(p + n - at), m->text, m->n) != NULL;
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

bool log_match_line(const struct log_match *m, const uint8_t *p, size_t n)
{
    bool found;
    if (m->is_regex) {
        regmatch_t span = {0, (regoff_t)n};
        found = regexec(&m->regex, (const char *)p, 1, &span, REG_STARTEND) == 0;
    } else {
        found = m->ignore_case ? holds_folded(m, p, n) : holds(m, p, n);
    }
    return found != m->invert;
}

/* Whether the bytes end with a beginning of the text. */
static bool ends_inside(const struct log_match *m, const uint8_t *p, size_t n)
{
    for (size_t k = MIN(m->n ? m->n - 1 : 0, n); k > 0; k--)
        if (memcmp(p + n - k, m->text, k) == 0)
            return true;
    return false;
}

bool log_match_may_hold(const struct log_match *m, const uint8_t *p, size_t n,
                        struct buf *fold)
{
    if (m->is_regex || m->invert)
        return true;
    if (m->ignore_case) {
        buf_clear(fold);
        uint8_t *to = buf_extend(fold, n);
        if (!to)
            return true;
        for (size_t i = 0; i < n; i++)
            to[i] = small(p[i]);
        p = to;
    }
    return holds(m, p, n) || ends_inside(m, p, n);
}
