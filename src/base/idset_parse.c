/* The reader of the array grammar: idset_parse. */
#include "base/idset.h"

#include "base/syntax.h"

#define LABEL_NUMBER "number"
#define LABEL_RANGE "Integer range"
#define TOO_LARGE "Cannot parse as 4-byte unsigned integer"

struct parser {
    const char *text;
    size_t at;
    struct error *err;
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(struct parser *p)
{
    while (is_blank(p->text[p->at]))
        p->at++;
}

static int read_number(struct parser *p, uint64_t *out)
{
    size_t start = p->at;
    uint64_t n = 0;
    if (!is_digit(p->text[p->at]))
        return syntax_unexpected(p->err, p->text, p->at, LABEL_NUMBER, NULL);
    for (; is_digit(p->text[p->at]) || p->text[p->at] == '_'; p->at++) {
        if (p->text[p->at] == '_')
            continue;
        n = n * 10 + (uint64_t)(p->text[p->at] - '0');
        if (n > UINT32_MAX)
            return syntax_refused(p->err, p->text, start, LABEL_RANGE, TOO_LARGE);
    }
    *out = n;
    return 0;
}

/* num ["-" num] [":" num], then a comma or the end; fills *r. */
static int read_range(struct parser *p, struct idrange *r)
{
    size_t start = p->at;
    uint64_t first, last, step = 1;
    bool has_last = false, has_step = false;
    const char *expected = ", or - or : or <end of input> or _";
    int rc = read_number(p, &first);
    if (rc)
        return rc;
    last = first;
    if (p->text[p->at] == '-') {
        p->at++;
        has_last = true;
        expected = ", or : or <end of input> or _";
        rc = read_number(p, &last);
        if (rc)
            return rc;
    }
    if (p->text[p->at] == ':') {
        p->at++;
        has_step = true;
        expected = ", or <end of input> or _";
        rc = read_number(p, &step);
        if (rc)
            return rc;
    }
    size_t end = p->at;
    skip_blanks(p);
    char c = p->text[p->at];
    if (c != '\0' && c != ',') {
        bool direct = p->at == end;
        return syntax_unexpected(p->err, p->text, p->at, direct ? LABEL_RANGE : NULL,
                                 direct ? expected : ", or <end of input>");
    }
    if (last < first || (has_step && (!has_last || step == 0 || step > last - first)))
        return syntax_refused(p->err, p->text, start, LABEL_RANGE, "Invalid range");
    if (last > IDSET_ID_MAX)
        return syntax_refused(p->err, p->text, start, LABEL_RANGE,
                              "The largest id is 4294967294");
    uint64_t steps = (last - first) / step;
    *r = (struct idrange){(uint32_t)first, (uint32_t)(steps + 1), (uint32_t)step,
                          (uint32_t)(last - first - steps * step)};
    return 0;
}

int idset_parse(struct idset *s, const char *text, struct error *err)
{
    struct parser p = {text, 0, err};
    struct idset out = IDSET_INIT;
    int rc = 0;
    for (;;) {
        struct idrange r;
        skip_blanks(&p);
        rc = read_range(&p, &r);
        if (rc)
            goto fail;
        /* The order and shape given are kept: no joining of neighbours. */
        rc = idset_append(&out, r);
        if (rc) {
            error_nomem(err);
            goto fail;
        }
        if (text[p.at] == '\0')
            break;
        p.at++;
    }
    if (idset_overlaps(&out)) {
        rc = syntax_refused(err, text, 0, NULL, "Ranges overlap");
        goto fail;
    }
    idset_release(s);
    *s = out;
    return 0;
fail:
    idset_release(&out);
    return rc;
}
