#include "conf/words.h"

/* ---- keys ---- */

/* Compares a key with `name`, which ends at a NUL or a blank; *end is that end. */
static bool is_named(const struct conf_node *key, const char *name, bool dashes,
                     const char **end)
{
    uint32_t i = 0;
    bool same = true;
    for (; name[i] && name[i] != ' '; i++) {
        if (!same || i >= key->n) {
            same = false;
            continue;
        }
        char c = key->text[i];
        same = c == name[i] ||
               (dashes && (c == '-' || c == '_') && (name[i] == '-' || name[i] == '_'));
    }
    *end = name + i;
    return same && i == key->n;
}

static bool has_alias(const struct conf_node *key, const char *aliases, bool dashes)
{
    const char *end;
    while (aliases && *aliases) {
        if (is_named(key, aliases, dashes, &end))
            return true;
        aliases = *end ? end + 1 : end;
    }
    return false;
}

static size_t find_field(const struct conf_schema *schema, const struct conf_node *key)
{
    bool dashes = schema->flags & CONF_DASHES;
    const char *end;
    for (size_t i = 0; i < schema->n_fields; i++)
        if (key->text[0] == schema->fields[i].key[0] &&
            is_named(key, schema->fields[i].key, dashes, &end))
            return i;
    for (size_t i = 0; i < schema->n_fields; i++)
        if (has_alias(key, schema->fields[i].aliases, dashes))
            return i;
    return schema->n_fields;
}

/* ---- values ---- */

/* Whether it is an integer at all, however large. */
static bool is_integer(const struct conf_node *node)
{
    double number;
    return node->kind != CONF_FLOAT && conf_float(node, &number);
}

static int decode_signed(struct conf_doc *doc, const struct conf_node *node,
                         const struct conf_field *field, void *member,
                         struct error *err)
{
    bool narrow = field->type == CONF_AS_I32;
    int64_t low = narrow ? INT32_MIN : INT64_MIN;
    int64_t high = narrow ? INT32_MAX : INT64_MAX;
    int64_t v;
    if (field->min != 0 || field->max != 0) {
        low = MAX(low, field->min);
        high = MIN(high, field->max);
    }
    bool fits = conf_int(node, &v);
    if (!fits && !is_integer(node))
        return words_wrong_type(doc, node, field->type, err);
    if (!fits || v < low || v > high)
        return words_out_of_range(doc, node, field, low, (uint64_t)high, err);
    if (narrow)
        *(int32_t *)member = (int32_t)v;
    else
        *(int64_t *)member = v;
    return 0;
}

static int decode_unsigned(struct conf_doc *doc, const struct conf_node *node,
                           const struct conf_field *field, void *member,
                           struct error *err)
{
    bool narrow = field->type == CONF_AS_U32;
    uint64_t low = 0, high = narrow ? UINT32_MAX : UINT64_MAX;
    uint64_t v;
    if (field->min != 0 || field->max != 0) {
        low = (uint64_t)MAX(field->min, 0);
        high = MIN(high, (uint64_t)MAX(field->max, 0));
    }
    bool fits = conf_uint(node, &v);
    if (!fits && !is_integer(node))
        return words_wrong_type(doc, node, field->type, err);
    if (!fits || v < low || v > high)
        return words_out_of_range(doc, node, field, (int64_t)low, high, err);
    if (narrow)
        *(uint32_t *)member = (uint32_t)v;
    else
        *(uint64_t *)member = v;
    return 0;
}

static int decode_text(struct conf_doc *doc, const struct conf_node *node,
                       enum conf_type type, const char **out, struct error *err)
{
    bool any = type == CONF_AS_TEXT || type == CONF_AS_TEXTS;
    const char *text = NULL;
    if (!conf_string(node, &text) && any && conf_is_scalar(node) &&
        node->kind != CONF_NULL)
        text = node->text;
    if (!text)
        return words_wrong_type(doc, node, CONF_AS_STRING, err);
    if (strlen(text) != node->n)
        return conf_fail(doc, node, err, "a NUL character is not possible here");
    *out = text;
    return 0;
}

static int decode_words(struct conf_doc *doc, const struct conf_node *node,
                        const struct conf_field *field, struct conf_words *out,
                        struct error *err)
{
    bool one = conf_is_scalar(node) && (field->flags & CONF_OR_ONE);
    if (node->kind != CONF_SEQ && !one)
        return words_wrong_type(doc, node, field->type, err);
    uint32_t n = one ? 1 : node->n;
    const char **v = arena_array(&doc->arena, (size_t)n + 1, sizeof *v);
    if (!v)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++) {
        int rc = decode_text(doc, one ? node : node->items[i], field->type, &v[i], err);
        if (rc)
            return rc;
    }
    v[n] = NULL;
    *out = (struct conf_words){v, n};
    return 0;
}

static int decode_enum(struct conf_doc *doc, const struct conf_node *node,
                       const struct conf_field *field, int *out, struct error *err)
{
    const char *text;
    if (!conf_is_scalar(node) || node->kind == CONF_NULL)
        return words_wrong_type(doc, node, CONF_AS_ENUM, err);
    text = node->text;
    for (int i = 0; field->names[i]; i++)
        if (strcmp(text, field->names[i]) == 0 && strlen(text) == node->n) {
            *out = i;
            return 0;
        }
    return words_unknown_name(doc, node, field->names, err);
}

int conf_decode_value(struct conf_doc *doc, const struct conf_node *node,
                      const struct conf_field *field, void *member, void *user,
                      struct error *err)
{
    switch (field->type) {
    case CONF_AS_BOOL:
        return conf_bool(node, member) ? 0
                                       : words_wrong_type(doc, node, CONF_AS_BOOL, err);
    case CONF_AS_I32:
    case CONF_AS_I64:
        return decode_signed(doc, node, field, member, err);
    case CONF_AS_U32:
    case CONF_AS_U64:
        return decode_unsigned(doc, node, field, member, err);
    case CONF_AS_DOUBLE:
        return conf_float(node, member)
                   ? 0
                   : words_wrong_type(doc, node, CONF_AS_DOUBLE, err);
    case CONF_AS_STRING:
    case CONF_AS_TEXT:
        return decode_text(doc, node, field->type, member, err);
    case CONF_AS_STRINGS:
    case CONF_AS_TEXTS:
        return decode_words(doc, node, field, member, err);
    case CONF_AS_ENUM:
        return decode_enum(doc, node, field, member, err);
    case CONF_AS_MAP:
        return conf_decode(doc, node, field->schema, member, user, NULL, err);
    case CONF_AS_SCALAR:
        if (!conf_is_scalar(node) || node->kind == CONF_NULL)
            return words_wrong_type(doc, node, CONF_AS_SCALAR, err);
        *(const struct conf_node **)member = node;
        return 0;
    case CONF_AS_NODE:
        *(const struct conf_node **)member = node;
        return 0;
    case CONF_AS_CALL:
        return field->decode(doc, node, field, member, user, err);
    }
    HQ_ASSERT(false);
    return ERR_INVALID;
}

/* ---- maps ---- */

static int decode_pair(struct conf_doc *doc, const struct conf_pair *pair,
                       const struct conf_schema *schema, void *out, void *user,
                       uint64_t *seen, struct error *err)
{
    size_t i = find_field(schema, pair->key);
    if (i == schema->n_fields)
        return schema->flags & CONF_IGNORE_UNKNOWN
                   ? 0
                   : words_unknown_key(doc, schema, pair->key, err);
    const struct conf_field *field = &schema->fields[i];
    if (field->flags & CONF_RESERVED)
        return conf_fail(doc, pair->key, err,
                         "key '%s' is reserved for a later version", pair->key->text);
    if (*seen & (uint64_t)1 << i)
        return words_duplicate_key(doc, pair->key, field->key, err);
    if (pair->value->kind == CONF_NULL && (field->flags & CONF_OPTIONAL))
        return 0;
    *seen |= (uint64_t)1 << i;
    return conf_decode_value(doc, pair->value, field, (char *)out + field->offset, user,
                             err);
}

int conf_decode(struct conf_doc *doc, const struct conf_node *node,
                const struct conf_schema *schema, void *out, void *user, uint64_t *seen,
                struct error *err)
{
    uint64_t mask = 0;
    HQ_ASSERT(schema->n_fields <= CONF_FIELDS_MAX);
    if (node->kind != CONF_MAP)
        return words_wrong_type(doc, node, CONF_AS_MAP, err);
    for (uint32_t i = 0; i < node->n; i++) {
        int rc = decode_pair(doc, &node->pairs[i], schema, out, user, &mask, err);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < schema->n_fields; i++)
        if ((schema->fields[i].flags & CONF_REQUIRED) && !(mask & (uint64_t)1 << i))
            return words_missing_key(doc, schema, node, schema->fields[i].key, err);
    if (seen)
        *seen = mask;
    return 0;
}
