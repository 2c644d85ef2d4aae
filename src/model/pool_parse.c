/* Resources of a worker as people write them (--cpus, --resource of `worker start`). */
#include "model/resource.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/grammar.h"
#include "model/resource_grammar.h"

#define KIND_LABEL "resource kind"
#define TOO_MANY "There are too many indices"
#define TOO_MANY_GROUPS "There are too many groups"

/* The parsers below return 0 with *found saying whether the alternative applied (else
 * it noted why not), or a negative code with the message set. */

static int push_number(struct pool *p, uint32_t id, struct error *err)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%u", id);
    return pool_add_label(p, text, (size_t)n) < 0 ? error_nomem(err) : 0;
}

/* INT "x" INT without blanks. */
static int parse_product(struct grammar *g, struct pool *p, bool *found,
                         struct error *err)
{
    size_t start = g->pos;
    uint32_t groups = 0, each = 0;
    int rc = grammar_u32(g, NULL, &groups, found, err);
    if (rc < 0 || !*found)
        return rc;
    *found = grammar_char(g, 'x');
    if (*found)
        rc = grammar_u32(g, NULL, &each, found, err);
    if (rc < 0 || !*found)
        return rc;
    if (groups == 0)
        return grammar_reason(g, start, NULL, "There has to be at least a single group",
                              err);
    if (each == 0)
        return grammar_reason(
            g, start, NULL, "Each group has to contain at least a single element", err);
    if (groups > POOL_GROUPS_MAX)
        return grammar_reason(g, start, NULL, TOO_MANY_GROUPS, err);
    if ((uint64_t)groups * each > POOL_ITEMS_MAX)
        return grammar_reason(g, start, NULL, TOO_MANY, err);
    if (groups == 1) {
        p->kind = POOL_RANGE;
        p->range_last = each - 1;
        return 0;
    }
    p->kind = POOL_GROUPS;
    for (uint32_t i = 0; i < groups * each && rc == 0; i++) {
        if (i % each == 0 && pool_add_group(p) < 0)
            return error_nomem(err);
        rc = push_number(p, i, err);
    }
    return rc;
}

static bool is_item_char(char c)
{
    return c && !strchr(",[]\" \t\n\r\v\f", c);
}

/* '"' … '"' or a bare word; *n is 0 when there is none. */
static const char *take_item(struct grammar *g, size_t *n)
{
    size_t start = g->pos;
    const char *item = g->text + start;
    *n = 0;
    if (*item == '"') {
        item++;
        while (item[*n] && item[*n] != '"')
            ++*n;
        g->pos += 1 + *n;
        if (*n == 0)
            grammar_expect(g, NULL, NULL);
        else if (!grammar_char(g, '"'))
            *n = 0;
        if (*n == 0)
            g->pos = start;
        return item;
    }
    while (is_item_char(item[*n]))
        ++*n;
    g->pos += *n;
    if (*n == 0)
        grammar_expect(g, "\"", NULL);
    return item;
}

/* ws "[" ws [ITEM ws ("," ws ITEM ws)*] "]" ws, as a further group of p. */
static int parse_list(struct grammar *g, struct pool *p, const char *empty_reason,
                      bool *found, struct error *err)
{
    size_t count = 0, n;
    grammar_skip_blanks(g);
    size_t start = g->pos;
    *found = grammar_char(g, '[');
    if (!*found)
        return 0;
    if (pool_add_group(p) < 0)
        return error_nomem(err);
    do {
        grammar_skip_blanks(g);
        const char *item = take_item(g, &n);
        if (n == 0)
            break;
        if (++count > POOL_ITEMS_MAX)
            return grammar_reason(g, start, NULL, TOO_MANY, err);
        if (pool_add_label(p, item, n) < 0)
            return error_nomem(err);
        grammar_skip_blanks(g);
    } while (grammar_char(g, ','));
    if (n == 0 && count > 0)
        *found = false;
    else
        *found = grammar_char(g, ']');
    if (*found && count == 0)
        return grammar_reason(g, start, NULL, empty_reason, err);
    grammar_skip_blanks(g);
    return 0;
}

/* Whether one of the groups holds a label twice. */
static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_unique(const struct grammar *g, size_t start, const struct pool *p,
                        const char *reason, struct error *err)
{
    for (size_t i = 0; i < p->n_groups; i++) {
        const struct pool_group *group = &p->groups[i];
        char **sorted = malloc((group->n + 1) * sizeof *sorted);
        bool twice = false;
        if (!sorted)
            return error_nomem(err);
        memcpy(sorted, group->labels, group->n * sizeof *sorted);
        qsort(sorted, group->n, sizeof *sorted, by_text);
        for (size_t j = 1; j < group->n && !twice; j++)
            twice = strcmp(sorted[j - 1], sorted[j]) == 0;
        free(sorted);
        if (twice)
            return grammar_reason(g, start, NULL, reason, err);
    }
    return 0;
}

/* ws "[" LIST ("," LIST)* "]" ws */
static int parse_groups(struct grammar *g, struct pool *p, bool *found,
                        struct error *err)
{
    static const char *const empty =
        "Each group has to contain at least a single element";
    grammar_skip_blanks(g);
    size_t start = g->pos;
    *found = grammar_char(g, '[');
    if (!*found)
        return 0;
    do {
        if (p->n_groups >= POOL_GROUPS_MAX)
            return grammar_reason(g, start, NULL, TOO_MANY_GROUPS, err);
        int rc = parse_list(g, p, empty, found, err);
        if (rc < 0 || !*found)
            return rc;
    } while (grammar_char(g, ','));
    *found = grammar_char(g, ']');
    if (!*found)
        return 0;
    grammar_skip_blanks(g);
    p->kind = p->n_groups == 1 ? POOL_LIST : POOL_GROUPS;
    return check_unique(g, start, p, "Group items have to be unique", err);
}

static int parse_plain_list(struct grammar *g, struct pool *p, bool *found,
                            struct error *err)
{
    grammar_skip_blanks(g);
    size_t start = g->pos;
    int rc =
        parse_list(g, p, "List has to contain at least a single element", found, err);
    if (rc < 0 || !*found)
        return rc;
    p->kind = POOL_LIST;
    return check_unique(g, start, p, "List items have to be unique", err);
}

/* A number between blanks. */
static int parse_bound(struct grammar *g, const char *label, uint32_t *out, bool *found,
                       struct error *err)
{
    grammar_skip_blanks(g);
    int rc = grammar_u32(g, label, out, found, err);
    if (rc == 0 && *found)
        grammar_skip_blanks(g);
    return rc;
}

static int parse_range(struct grammar *g, struct pool *p, bool *found,
                       struct error *err)
{
    size_t start = g->pos;
    *found = grammar_word(g, "range");
    if (!*found)
        return 0;
    grammar_skip_blanks(g);
    *found = grammar_char(g, '(');
    if (!*found)
        return 0;
    int rc = parse_bound(g, "start", &p->range_first, found, err);
    if (rc < 0 || !*found)
        return rc;
    *found = grammar_char(g, '-');
    if (!*found)
        return 0;
    rc = parse_bound(g, "end", &p->range_last, found, err);
    if (rc < 0 || !*found)
        return rc;
    *found = grammar_char(g, ')');
    if (!*found)
        return 0;
    grammar_skip_blanks(g);
    if (p->range_first > p->range_last)
        return grammar_reason(g, start, NULL, "Start must be greater or equal to end",
                              err);
    p->kind = POOL_RANGE;
    return 0;
}

static int parse_sum(struct grammar *g, struct pool *p, bool *found, struct error *err)
{
    *found = grammar_word(g, "sum");
    if (!*found)
        return 0;
    grammar_skip_blanks(g);
    *found = grammar_char(g, '(');
    if (!*found)
        return 0;
    grammar_skip_blanks(g);
    int rc = grammar_amount(g, "sum", &p->sum, found, err);
    if (rc < 0 || !*found)
        return rc;
    grammar_skip_blanks(g);
    *found = grammar_char(g, ')');
    if (*found)
        grammar_skip_blanks(g);
    p->kind = POOL_SUM;
    return 0;
}

/* KIND up to the end of the text. */
static int parse_kind(struct grammar *g, struct pool *p, struct error *err)
{
    static int (*const alternatives[])(struct grammar *, struct pool *, bool *,
                                       struct error *) = {
        parse_product, parse_groups, parse_plain_list, parse_range, parse_sum};
    size_t start = g->pos;
    bool found = false;
    int rc = 0;
    g->context = KIND_LABEL;
    for (size_t i = 0; i < ARRAY_SIZE(alternatives) && !found && rc == 0; i++) {
        pool_release(p);
        g->pos = start;
        rc = alternatives[i](g, p, &found, err);
    }
    if (rc == 0) {
        g->context = NULL;
        if (!found || !grammar_end(g))
            rc = grammar_fail(g, err);
    }
    if (rc < 0)
        pool_release(p);
    return rc;
}

static int set_name(struct pool *p, const char *name, size_t len, struct error *err)
{
    p->name = strndup(name, len);
    if (p->name)
        return 0;
    pool_release(p);
    return error_nomem(err);
}

/* A bare number, as upstream's u32 reads it. */
static bool plain_number(const char *text, uint32_t *out)
{
    uint64_t value = 0;
    if (!*text)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *out = (uint32_t)value;
    return true;
}

int pool_parse_cpus(const char *text, struct pool *p, struct error *err)
{
    struct grammar g;
    struct pool made = POOL_INIT;
    uint32_t count;
    int rc = 0;
    if (!plain_number(text, &count)) {
        grammar_init(&g, text);
        rc = parse_kind(&g, &made, err);
    } else if (count == 0) {
        made.kind = POOL_SUM;
    } else {
        made.kind = POOL_RANGE;
        made.range_last = count - 1;
    }
    if (rc == 0)
        rc = set_name(&made, "cpus", 4, err);
    if (rc == 0)
        *p = made;
    return rc;
}

int pool_parse(const char *text, struct pool *p, struct error *err)
{
    struct grammar g;
    struct pool made = POOL_INIT;
    grammar_init(&g, text);
    g.context = "resource definition";
    grammar_skip_blanks(&g);
    size_t start = g.pos, len = grammar_resource_name(&g);
    if (len == 0) {
        grammar_expect(&g, "identifier", "resource name");
        return grammar_fail(&g, err);
    }
    if (len > RESOURCE_NAME_MAX)
        return grammar_reason(&g, start, "resource name", "The name is too long", err);
    grammar_expect(&g, NULL, "resource name");
    grammar_skip_blanks(&g);
    if (!grammar_char(&g, '='))
        return grammar_fail(&g, err);
    grammar_skip_blanks(&g);
    int rc = parse_kind(&g, &made, err);
    if (rc == 0)
        rc = set_name(&made, text + start, len, err);
    if (rc == 0)
        *p = made;
    return rc;
}
