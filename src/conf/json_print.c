#include "conf/conf.h"

#include <math.h>
#include <stdlib.h>
#include "base/json.h"

static int compare_keys(const void *a, const void *b)
{
    const struct conf_node *x = (*(const struct conf_pair *const *)a)->key;
    const struct conf_node *y = (*(const struct conf_pair *const *)b)->key;
    int order = memcmp(x->text, y->text, MIN(x->n, y->n));
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static void print_text(struct buf *out, const struct conf_node *node)
{
    struct json j;
    json_init(&j, out, false, -1);
    json_strn(&j, node->text, node->n);
}

/* The shortest form; large exponents have their sign: 1e+22. */
static void print_double(struct buf *out, double v)
{
    struct json j;
    size_t start = out->len;
    json_init(&j, out, false, -1);
    json_double(&j, v);
    const char *e = strchr(buf_cstr(out) + start, 'e');
    if (!e || e[1] == '-' || e[1] == '+')
        return;
    char exponent[8] = {0};
    strncpy(exponent, e + 1, sizeof exponent - 1);
    out->len = (size_t)(e - buf_cstr(out)) + 1;
    buf_printf(out, "+%s", exponent);
}

static void print_number(struct buf *out, const struct conf_node *node)
{
    struct json j;
    int64_t i;
    uint64_t u;
    double d;
    json_init(&j, out, false, -1);
    if (conf_uint(node, &u) && !(u == 0 && node->text[0] == '-'))
        json_uint(&j, u);
    else if (conf_int(node, &i) && i != 0)
        json_int(&j, i);
    else if (conf_float(node, &d) && isfinite(d))
        print_double(out, d);
    else
        json_null(&j);
}

static void print_map(struct buf *out, const struct conf_node *node)
{
    const struct conf_pair *few[16];
    const struct conf_pair **order = few;
    if (node->n > ARRAY_SIZE(few))
        order = malloc(node->n * sizeof(const struct conf_pair *));
    if (!order) {
        out->failed = true;
        return;
    }
    for (uint32_t i = 0; i < node->n; i++)
        order[i] = &node->pairs[i];
    qsort(order, node->n, sizeof(const struct conf_pair *), compare_keys);
    buf_putc(out, '{');
    for (uint32_t i = 0; i < node->n; i++) {
        if (i)
            buf_putc(out, ',');
        print_text(out, order[i]->key);
        buf_putc(out, ':');
        conf_print_json(out, order[i]->value);
    }
    buf_putc(out, '}');
    if (order != few)
        free(order);
}

void conf_print_json(struct buf *out, const struct conf_node *node)
{
    bool value = false;
    switch (conf_kind(node)) {
    case CONF_NULL:
        buf_puts(out, "null");
        break;
    case CONF_BOOL:
        buf_puts(out, conf_bool(node, &value) && value ? "true" : "false");
        break;
    case CONF_INT:
    case CONF_FLOAT:
        print_number(out, node);
        break;
    case CONF_STRING:
    case CONF_DATE:
        print_text(out, node);
        break;
    case CONF_SEQ:
        buf_putc(out, '[');
        for (uint32_t i = 0; i < node->n; i++) {
            if (i)
                buf_putc(out, ',');
            conf_print_json(out, node->items[i]);
        }
        buf_putc(out, ']');
        break;
    case CONF_MAP:
        print_map(out, node);
        break;
    }
}
