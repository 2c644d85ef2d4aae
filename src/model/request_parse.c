/* Amounts and requests as people write them, and back. */
#include "model/resource.h"

#include <stdlib.h>
#include "base/grammar.h"
#include "model/resource_grammar.h"

static bool name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool name_char(char c)
{
    return name_start(c) || (c >= '0' && c <= '9') || c == '/';
}

bool resource_name_valid(const char *name)
{
    size_t n = 0;
    if (!name_start(name[0]))
        return false;
    while (name_char(name[n]))
        n++;
    return !name[n] && n <= RESOURCE_NAME_MAX;
}

size_t grammar_resource_name(struct grammar *g)
{
    size_t start = g->pos;
    if (name_start(grammar_peek(g)))
        while (name_char(grammar_peek(g)))
            g->pos++;
    return g->pos - start;
}

/* Up to four digits behind the point, as 1/10000. */
static int parse_fraction(struct grammar *g, size_t item, const char *label,
                          uint32_t *fraction, bool *found, struct error *err)
{
    size_t start, len;
    uint32_t value = 0, scale = AMOUNT_ONE;
    *found = grammar_digits(g, &start, &len);
    for (size_t i = start; *found && i < start + len; i++) {
        if (g->text[i] == '_')
            continue;
        if (scale == 1)
            return grammar_reason(g, item, label, "Resource precision exceeded", err);
        value = value * 10 + (uint32_t)(g->text[i] - '0');
        scale /= 10;
    }
    *fraction = value * scale;
    return 0;
}

int grammar_amount(struct grammar *g, const char *label, uint64_t *amount, bool *found,
                   struct error *err)
{
    size_t item = g->pos;
    uint32_t units = 0, fraction = 0;
    int rc = grammar_u32(g, label, &units, found, err);
    if (rc == 0 && *found && grammar_char(g, '.'))
        rc = parse_fraction(g, item, label, &fraction, found, err);
    if (rc == 0 && *found)
        *amount = units * AMOUNT_ONE + fraction;
    return rc;
}

int amount_parse(const char *text, uint64_t *amount, struct error *err)
{
    struct grammar g;
    uint64_t value = 0;
    bool found;
    grammar_init(&g, text);
    int rc = grammar_amount(&g, NULL, &value, &found, err);
    if (rc < 0)
        return rc;
    if (!found || !grammar_end(&g))
        return grammar_fail(&g, err);
    *amount = value;
    return 0;
}

void amount_print(uint64_t amount, struct buf *out)
{
    uint64_t fraction = amount % AMOUNT_ONE;
    int digits = 4;
    buf_printf(out, "%llu", (unsigned long long)(amount / AMOUNT_ONE));
    if (!fraction)
        return;
    for (; fraction % 10 == 0; fraction /= 10)
        digits--;
    buf_printf(out, ".%0*llu", digits, (unsigned long long)fraction);
}

static const struct {
    const char *word;
    const char *json;
} policies[] = {
    [POLICY_COMPACT] = {"compact", "Compact"},
    [POLICY_FORCE_COMPACT] = {"compact!", "ForceCompact"},
    [POLICY_TIGHT] = {"tight", "Tight"},
    [POLICY_FORCE_TIGHT] = {"tight!", "ForceTight"},
    [POLICY_SCATTER] = {"scatter", "Scatter"},
    [POLICY_ALL] = {"all", "All"},
};

/* The longer words first: "compact!" is not "compact" with something behind it. A word
 * that was taken leaves no note, so the notes of those tried before it are undone. */
static bool parse_policy(struct grammar *g, enum request_policy *policy)
{
    static const enum request_policy order[] = {POLICY_FORCE_COMPACT, POLICY_COMPACT,
                                                POLICY_FORCE_TIGHT, POLICY_TIGHT,
                                                POLICY_SCATTER};
    struct grammar before = *g;
    for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
        if (grammar_literal(g, policies[order[i]].word)) {
            before.pos = g->pos;
            *g = before;
            *policy = order[i];
            return true;
        }
    }
    return false;
}

/* REQ := "all" | ws AMOUNT ws [POLICY], up to the end of the text. */
static int parse_value(struct grammar *g, enum request_policy *policy, uint64_t *amount,
                       struct error *err)
{
    bool found;
    if (grammar_word(g, "all")) {
        *policy = POLICY_ALL;
        *amount = 1;
        return grammar_end(g) ? 0 : grammar_fail(g, err);
    }
    grammar_skip_blanks(g);
    size_t item = g->pos;
    int rc = grammar_amount(g, NULL, amount, &found, err);
    if (rc < 0)
        return rc;
    if (!found)
        return grammar_fail(g, err);
    if (*amount == 0)
        return grammar_reason(g, item, NULL, "Zero resources cannot be requested", err);
    *policy = POLICY_COMPACT;
    grammar_skip_blanks(g);
    (void)parse_policy(g, policy);
    return grammar_end(g) ? 0 : grammar_fail(g, err);
}

int request_value_parse(const char *text, enum request_policy *policy, uint64_t *amount,
                        struct error *err)
{
    struct grammar g;
    enum request_policy p;
    uint64_t a;
    grammar_init(&g, text);
    int rc = parse_value(&g, &p, &a, err);
    if (rc < 0)
        return rc;
    *policy = p;
    *amount = a;
    return 0;
}

int request_entry_parse(const char *text, char **name, enum request_policy *policy,
                        uint64_t *amount, struct error *err)
{
    struct grammar g;
    enum request_policy p;
    uint64_t a;
    grammar_init(&g, text);
    size_t len = grammar_resource_name(&g);
    if (len == 0) {
        grammar_expect(&g, NULL, NULL);
        return grammar_fail(&g, err);
    }
    if (len > RESOURCE_NAME_MAX)
        return grammar_reason(&g, 0, "resource name", "The name is too long", err);
    grammar_skip_blanks(&g);
    if (!grammar_char(&g, '='))
        return grammar_fail(&g, err);
    grammar_skip_blanks(&g);
    int rc = parse_value(&g, &p, &a, err);
    if (rc < 0)
        return rc;
    char *copy = strndup(text, len);
    if (!copy)
        return error_nomem(err);
    *name = copy;
    *policy = p;
    *amount = a;
    return 0;
}

void request_value_print(enum request_policy policy, uint64_t amount, struct buf *out)
{
    if (policy != POLICY_ALL) {
        amount_print(amount, out);
        buf_putc(out, ' ');
    }
    buf_puts(out, policies[policy].word);
}

const char *request_policy_json(enum request_policy policy)
{
    return policies[policy].json;
}
