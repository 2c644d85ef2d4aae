#include "conf/toml.h"

struct toml_table *toml_table(struct toml *t, enum toml_origin origin, unsigned depth,
                              size_t at, size_t end)
{
    struct toml_table *table = arena_alloc(&t->doc->arena, sizeof *table);
    if (table)
        *table = (struct toml_table){
            .node = {.kind = CONF_MAP, .at = (uint32_t)at, .end = (uint32_t)end},
            .origin = origin,
            .depth = depth};
    return table;
}

struct toml_array *toml_array(struct toml *t, bool of_tables, size_t at, size_t end)
{
    struct toml_array *array = arena_alloc(&t->doc->arena, sizeof *array);
    if (array)
        *array = (struct toml_array){
            .node = {.kind = CONF_SEQ, .at = (uint32_t)at, .end = (uint32_t)end},
            .of_tables = of_tables};
    return array;
}

/* Room for one more element of `size` bytes behind the n that `old` holds. */
static void *grow(struct toml *t, void *old, uint32_t n, uint32_t *cap, size_t size)
{
    if (n < *cap)
        return old;
    uint32_t more = *cap ? *cap * 2 : 4;
    void *fresh = arena_array(&t->doc->arena, more, size);
    if (!fresh)
        return NULL;
    if (n)
        memcpy(fresh, old, n * size);
    *cap = more;
    return fresh;
}

int toml_append(struct toml *t, struct toml_array *array, struct conf_node *item)
{
    struct conf_node **items =
        grow(t, array->node.items, array->node.n, &array->cap, sizeof *items);
    if (!items)
        return error_nomem(t->err);
    items[array->node.n++] = item;
    array->node.items = items;
    return 0;
}

static struct conf_pair *find(const struct toml_table *table,
                              const struct conf_node *key)
{
    uint32_t i =
        keys_find(&table->keys, table->node.pairs, table->node.n, key->text, key->n);
    return i == UINT32_MAX ? NULL : &table->node.pairs[i];
}

static int put(struct toml *t, struct toml_table *table, struct conf_node *key,
               struct conf_node *value)
{
    struct conf_pair *pairs =
        grow(t, table->node.pairs, table->node.n, &table->cap, sizeof *pairs);
    if (!pairs)
        return error_nomem(t->err);
    pairs[table->node.n++] = (struct conf_pair){key, value};
    table->node.pairs = pairs;
    if (!keys_add(&table->keys, &t->doc->arena, pairs, table->node.n))
        return error_nomem(t->err);
    return 0;
}

static int fail_key(struct toml *t, const struct conf_node *key, const char *why)
{
    return conf_fail(t->doc, key, t->err, "%s `%s`", why, key->text);
}

static int new_table(struct toml *t, struct toml_table *in, struct conf_node *key,
                     enum toml_origin origin, size_t at, size_t end,
                     struct toml_table **out)
{
    if (in->depth + 1 > CONF_DEPTH_MAX)
        return conf_fail(t->doc, key, t->err, "nesting is deeper than %d levels here",
                         CONF_DEPTH_MAX);
    *out = toml_table(t, origin, in->depth + 1, at, end);
    return *out ? put(t, in, key, &(*out)->node) : error_nomem(t->err);
}

/* The table that a node is; nodes of kind CONF_MAP are the first member of theirs. */
static struct toml_table *as_table(struct conf_node *node)
{
    return CONTAINER_OF(node, struct toml_table, node);
}

static struct toml_array *as_array(struct conf_node *node)
{
    return CONTAINER_OF(node, struct toml_array, node);
}

/* One step of a header's path: through tables, and the last element of [[arrays]]. */
static int step(struct toml *t, struct toml_table *in, struct conf_node *key, size_t at,
                size_t end, struct toml_table **out)
{
    struct conf_pair *p = find(in, key);
    if (!p)
        return new_table(t, in, key, TOML_PARENT, at, end, out);
    struct conf_node *value = p->value;
    if (value->kind == CONF_SEQ && as_array(value)->of_tables)
        value = value->items[value->n - 1];
    if (value->kind != CONF_MAP || as_table(value)->origin == TOML_INLINE)
        return fail_key(t, key, "cannot extend what is complete or no table:");
    *out = as_table(value);
    return 0;
}

static int open_element(struct toml *t, struct toml_table *in, struct conf_node *key,
                        size_t at, size_t end, struct toml_table **out)
{
    struct conf_pair *p = find(in, key);
    struct toml_array *array;
    if (p && (p->value->kind != CONF_SEQ || !as_array(p->value)->of_tables))
        return fail_key(t, key, "duplicate key");
    if (in->depth + 2 > CONF_DEPTH_MAX)
        return conf_fail(t->doc, key, t->err, "nesting is deeper than %d levels here",
                         CONF_DEPTH_MAX);
    if (p) {
        array = as_array(p->value);
    } else {
        array = toml_array(t, true, at, end);
        if (!array)
            return error_nomem(t->err);
        int rc = put(t, in, key, &array->node);
        if (rc)
            return rc;
    }
    *out = toml_table(t, TOML_HEADER, in->depth + 2, at, end);
    return *out ? toml_append(t, array, &(*out)->node) : error_nomem(t->err);
}

int toml_open(struct toml *t, struct toml_table *root, const struct toml_key *key,
              bool element, size_t at, size_t end, struct toml_table **out)
{
    struct toml_table *table = root;
    for (; key->next; key = key->next) {
        int rc = step(t, table, key->node, at, end, &table);
        if (rc)
            return rc;
    }
    if (element)
        return open_element(t, table, key->node, at, end, out);
    struct conf_pair *p = find(table, key->node);
    if (!p)
        return new_table(t, table, key->node, TOML_HEADER, at, end, out);
    if (p->value->kind != CONF_MAP || as_table(p->value)->origin != TOML_PARENT)
        return fail_key(t, key->node, "duplicate key");
    *out = as_table(p->value);
    (*out)->origin = TOML_HEADER;
    (*out)->node.at = (uint32_t)at;
    (*out)->node.end = (uint32_t)end;
    return 0;
}

int toml_store(struct toml *t, struct toml_table *table, const struct toml_key *key,
               struct conf_node *value)
{
    for (; key->next; key = key->next) {
        struct conf_pair *p = find(table, key->node);
        int rc = 0;
        if (!p)
            rc = new_table(t, table, key->node, TOML_DOTTED, key->node->at,
                           key->node->end, &table);
        else if (p->value->kind != CONF_MAP ||
                 as_table(p->value)->origin == TOML_HEADER ||
                 as_table(p->value)->origin == TOML_INLINE)
            rc = fail_key(t, key->node, "cannot extend what is complete or no table:");
        else
            table = as_table(p->value);
        /* A dotted key defines what a header has only named on its way. */
        if (rc == 0 && table->origin == TOML_PARENT)
            table->origin = TOML_DOTTED;
        if (rc)
            return rc;
    }
    if (find(table, key->node))
        return fail_key(t, key->node, "duplicate key");
    return put(t, table, key->node, value);
}
