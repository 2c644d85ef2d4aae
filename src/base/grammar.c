#include "base/grammar.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/syntax.h"

static bool is_blank(char c)
{
    return isspace((unsigned char)c) != 0;
}

static bool is_word_char(char c, bool first)
{
    if (c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
        return true;
    return !first && c >= '0' && c <= '9';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

void grammar_init(struct grammar *g, const char *text)
{
    memset(g, 0, sizeof *g);
    g->text = text;
}

void grammar_skip_blanks(struct grammar *g)
{
    while (is_blank(grammar_peek(g)))
        g->pos++;
}

/* Bytes of the character at p: the lead byte and its continuations. */
static size_t char_len(const char *p)
{
    size_t n = *p != 0;
    while (n && ((unsigned char)p[n] & 0xc0) == 0x80)
        n++;
    return n;
}

static void note(struct grammar *g, size_t at, size_t mark, size_t len,
                 const char *what, const char *label)
{
    if (g->noted && at < g->at)
        return;
    if (!g->noted || at > g->at) {
        g->noted = true;
        g->at = at;
        g->label = label;
        g->outer_label = g->context;
        g->n_expected = 0;
    } else {
        if (!g->label)
            g->label = label;
        if (!g->context)
            g->outer_label = NULL;
    }
    g->mark = mark;
    g->len = len;
    for (size_t i = 0; what && i < g->n_expected; i++)
        if (strcmp(g->expected[i], what) == 0)
            return;
    if (what && g->n_expected < GRAMMAR_EXPECTED_MAX)
        (void)snprintf(g->expected[g->n_expected++], GRAMMAR_WORD_MAX, "%s", what);
}

void grammar_expect(struct grammar *g, const char *what, const char *label)
{
    note(g, g->pos, g->pos, char_len(g->text + g->pos), what, label);
}

bool grammar_char(struct grammar *g, char c)
{
    if (grammar_peek(g) == c) {
        g->pos++;
        return true;
    }
    grammar_expect(g, (char[]){c, 0}, NULL);
    return false;
}

bool grammar_literal(struct grammar *g, const char *word)
{
    size_t start = g->pos;
    for (; *word; word++) {
        if (!grammar_char(g, *word)) {
            g->pos = start;
            return false;
        }
    }
    return true;
}

bool grammar_word(struct grammar *g, const char *word)
{
    size_t n = 0;
    while (is_word_char(g->text[g->pos + n], n == 0))
        n++;
    if (n == 0) {
        grammar_expect(g, word, NULL);
        return false;
    }
    if (n != strlen(word) || memcmp(g->text + g->pos, word, n) != 0) {
        note(g, g->pos + n, g->pos, n, word, NULL);
        return false;
    }
    g->pos += n;
    return true;
}

bool grammar_digits(struct grammar *g, size_t *start, size_t *len)
{
    if (!is_digit(grammar_peek(g))) {
        grammar_expect(g, NULL, "number");
        return false;
    }
    *start = g->pos;
    while (is_digit(grammar_peek(g)) || grammar_peek(g) == '_')
        g->pos++;
    grammar_expect(g, "_", "number");
    *len = g->pos - *start;
    return true;
}

int grammar_u32(struct grammar *g, const char *label, uint32_t *out, bool *found,
                struct error *err)
{
    size_t start, len;
    uint64_t value = 0;
    *found = grammar_digits(g, &start, &len);
    if (!*found)
        return 0;
    for (size_t i = start; i < start + len; i++) {
        if (g->text[i] == '_')
            continue;
        value = value * 10 + (uint64_t)(g->text[i] - '0');
        if (value > UINT32_MAX)
            return grammar_reason(g, start, label,
                                  "Cannot parse as 4-byte unsigned integer", err);
    }
    *out = (uint32_t)value;
    return 0;
}

bool grammar_end(struct grammar *g)
{
    if (!grammar_peek(g))
        return true;
    grammar_expect(g, "<end of input>", NULL);
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

int grammar_fail(const struct grammar *g, struct error *err)
{
    char sorted[GRAMMAR_EXPECTED_MAX][GRAMMAR_WORD_MAX];
    char expected[GRAMMAR_EXPECTED_MAX * (GRAMMAR_WORD_MAX + 4)];
    size_t used = 0;
    HQ_ASSERT(g->noted);
    memcpy(sorted, g->expected, sizeof sorted);
    qsort(sorted, g->n_expected, sizeof sorted[0], by_text);
    for (size_t i = 0; i < g->n_expected; i++)
        used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s",
                                 i ? " or " : "", sorted[i]);
    return syntax_unexpected_word(err, g->text, g->mark, g->len,
                                  g->label ? g->label : g->outer_label,
                                  g->n_expected ? expected : NULL);
}

int grammar_reason(const struct grammar *g, size_t at, const char *label,
                   const char *reason, struct error *err)
{
    return syntax_refused(err, g->text, at, label ? label : g->context, reason);
}
