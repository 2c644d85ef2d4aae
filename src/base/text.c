#include "base/text.h"

#include <stdlib.h>

/*
 * Length of the valid UTF-8 character at s[0..n), n > 0. If there is none: 0, and *bad
 * is the length of the part to replace (the longest start of a character, at least 1).
 */
static size_t utf8_length(const unsigned char *s, size_t n, size_t *bad)
{
    unsigned char low = 0x80, high = 0xbf; /* of the second byte */
    size_t need;
    *bad = 1;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf) {
        need = 2;
    } else if (s[0] >= 0xe0 && s[0] <= 0xef) {
        need = 3;
        low = s[0] == 0xe0 ? 0xa0 : low;   /* overlong */
        high = s[0] == 0xed ? 0x9f : high; /* surrogates */
    } else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        need = 4;
        low = s[0] == 0xf0 ? 0x90 : low;
        high = s[0] == 0xf4 ? 0x8f : high; /* above U+10FFFF */
    } else {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if (i == n || s[i] < low || s[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
        *bad = i + 1;
    }
    return need;
}

size_t text_cut(const char *s, size_t n)
{
    size_t len = strnlen(s, n + (n < SIZE_MAX));
    if (len <= n)
        return len;
    size_t cut = n;
    while (cut > 0 && n - cut < 3 && ((unsigned char)s[cut] & 0xc0) == 0x80)
        cut--;
    /* Bytes that are no UTF-8 may be cut anywhere. */
    return ((unsigned char)s[cut] & 0xc0) == 0x80 ? n : cut;
}

/* How many bytes at the start are ASCII. */
static size_t ascii_length(const unsigned char *s, size_t n)
{
    uint64_t w[4];
    size_t i = 0;
    for (; n - i >= sizeof w; i += sizeof w) {
        memcpy(w, s + i, sizeof w);
        if ((w[0] | w[1] | w[2] | w[3]) & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < n && s[i] < 0x80)
        i++;
    return i;
}

void text_lossy(struct buf *out, const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t i = 0, start = 0, bad;
    while (i < n) {
        i += ascii_length(p + i, n - i);
        if (i == n)
            break;
        size_t len = utf8_length(p + i, n - i, &bad);
        if (len) {
            i += len;
            continue;
        }
        buf_append(out, s + start, i - start);
        buf_puts(out, "\xef\xbf\xbd");
        i += bad;
        start = i;
    }
    buf_append(out, s + start, n - start);
}

static bool is_safe_in_shell(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("@%_+=:,./-", c));
}

void text_shell_quote(struct buf *out, const char *s, size_t n)
{
    size_t safe = 0;
    while (safe < n && is_safe_in_shell(s[safe]))
        safe++;
    if (n > 0 && safe == n) {
        buf_append(out, s, n);
        return;
    }
    buf_putc(out, '\'');
    for (size_t i = 0, start = 0; i <= n; i++) {
        if (i < n && s[i] != '\'')
            continue;
        buf_append(out, s + start, i - start);
        if (i < n)
            buf_puts(out, "'\\''");
        start = i + 1;
    }
    buf_putc(out, '\'');
}

void text_free_words(char **words)
{
    if (!words)
        return;
    for (char **w = words; *w; w++)
        free(*w);
    free(words);
}

static bool is_shell_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* Reads what follows an opening quote into word; NULL if it stays open. */
static const char *read_quoted(const char *s, char quote, struct buf *word)
{
    for (; *s != quote; s++) {
        if (!*s)
            return NULL;
        if (quote == '"' && *s == '\\' && s[1] == '\n') {
            s++;
            continue;
        }
        if (quote == '"' && *s == '\\' && s[1] && strchr("\"\\$`", s[1]))
            s++;
        buf_putc(word, *s);
    }
    return s + 1;
}

/* Reads one word; returns what follows, NULL for an open quote. */
static const char *read_word(const char *s, struct buf *word)
{
    while (s && *s && !is_shell_blank(*s)) {
        if (*s == '\'' || *s == '"') {
            s = read_quoted(s + 1, *s, word);
        } else if (*s == '\\' && s[1] == '\n') {
            s += 2;
        } else {
            if (*s == '\\' && s[1])
                s++;
            buf_putc(word, *s++);
        }
    }
    return s;
}

static const char *skip_blanks(const char *s)
{
    while (is_shell_blank(*s) || (*s == '\\' && s[1] == '\n'))
        s += *s == '\\' ? 2 : 1;
    return s;
}

int text_shell_split(const char *s, char ***words, size_t *n, struct error *err)
{
    size_t count = 0, cap = 8;
    char **list = malloc(cap * sizeof *list);
    struct buf word = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = 0;
    if (!list)
        return error_nomem(err);
    list[0] = NULL;
    for (s = skip_blanks(s); *s; s = skip_blanks(s)) {
        s = read_word(s, &word);
        if (!s) {
            rc = error_set(err, ERR_PARSE, "a quote is never closed");
            break;
        }
        if (count + 2 > cap) {
            char **more = realloc(list, cap * 2 * sizeof *list);
            if (!more) {
                rc = error_nomem(err);
                break;
            }
            list = more;
            cap *= 2;
        }
        list[count] = buf_steal(&word);
        if (!list[count]) {
            rc = error_nomem(err);
            break;
        }
        list[++count] = NULL;
    }
    buf_release(&word);
    if (rc) {
        list[count] = NULL;
        text_free_words(list);
        return rc;
    }
    *words = list;
    *n = count;
    return 0;
}

#define SUGGEST_MAX 256
#define SUGGEST_LIMIT 0.7

/* Jaro similarity of two texts, 0 to 1. */
static double similarity(const char *a, size_t n, const char *b, size_t m)
{
    bool in_a[SUGGEST_MAX] = {false}, in_b[SUGGEST_MAX] = {false};
    size_t longer = MAX(n, m), matches = 0, swaps = 0;
    size_t window = longer / 2 > 0 ? longer / 2 - 1 : 0;
    for (size_t i = 0; i < n; i++) {
        size_t to = MIN(m, i + window + 1);
        for (size_t k = i > window ? i - window : 0; k < to; k++) {
            if (in_b[k] || a[i] != b[k])
                continue;
            in_a[i] = in_b[k] = true;
            matches++;
            break;
        }
    }
    if (matches == 0)
        return 0;
    for (size_t i = 0, k = 0; i < n; i++) {
        if (!in_a[i])
            continue;
        while (!in_b[k])
            k++;
        swaps += a[i] != b[k++];
    }
    double found = (double)matches;
    return (found / (double)n + found / (double)m +
            (found - (double)swaps / 2) / found) /
           3;
}

const char *text_suggest(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    double best_value = 0;
    size_t n = strlen(word);
    if (n == 0 || n > SUGGEST_MAX)
        return NULL;
    for (; *candidates; candidates++) {
        size_t m = strlen(*candidates);
        if (m == 0 || m > SUGGEST_MAX)
            continue;
        double value = similarity(word, n, *candidates, m);
        if (value > SUGGEST_LIMIT && value >= best_value) {
            best_value = value;
            best = *candidates;
        }
    }
    return best;
}

bool text_to_u64(const char *s, uint64_t *out)
{
    uint64_t n = 0;
    if (*s < '0' || *s > '9')
        return false;
    for (; *s; s++) {
        if (*s == '_')
            continue;
        if (*s < '0' || *s > '9' || MUL_OVERFLOWS(n, 10, &n) ||
            ADD_OVERFLOWS(n, (uint64_t)(*s - '0'), &n))
            return false;
    }
    *out = n;
    return true;
}

bool text_to_u32(const char *s, uint32_t *out)
{
    uint64_t n;
    if (!text_to_u64(s, &n) || n > UINT32_MAX)
        return false;
    *out = (uint32_t)n;
    return true;
}
