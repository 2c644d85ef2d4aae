#include "conf/words.h"

#include <inttypes.h>
#include <stdio.h>
#include "base/text.h"

#define LIST_MAX 512 /* bytes of a list of names in a message */
#define FOUND_MAX 128

static bool is_toml(const struct conf_doc *doc)
{
    return doc->format == CONF_TOML;
}

/* "`a`", "`a` or `b`", "one of `a`, `b`, `c`" */
static void list_names(struct buf *out, const char *const *names)
{
    size_t n = 0;
    while (names[n])
        n++;
    if (n > 2)
        buf_puts(out, "one of ");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%s`%s`", i == 0 ? "" : n == 2 ? " or " : ", ", names[i]);
}

static void known_keys(const struct conf_schema *schema,
                       const char *names[CONF_FIELDS_MAX + 1])
{
    size_t n = 0;
    for (size_t i = 0; i < schema->n_fields; i++)
        if (!(schema->fields[i].flags & CONF_RESERVED))
            names[n++] = schema->fields[i].key;
    names[n] = NULL;
}

/* The name with two neighbours swapped, as in "rnu": too short for text_suggest. */
static const char *suggest_swapped(const char *word, const char *const *names)
{
    size_t n = strlen(word);
    for (; *names; names++) {
        size_t i = 0;
        while (i < n && word[i] == (*names)[i])
            i++;
        if (n == strlen(*names) && i + 1 < n && word[i] == (*names)[i + 1] &&
            word[i + 1] == (*names)[i] && strcmp(word + i + 2, *names + i + 2) == 0)
            return *names;
    }
    return NULL;
}

/* The name that was probably meant, by the spelling of the table. */
static const char *suggest(const char *word, const char *const *names)
{
    const char *meant = text_suggest(word, names);
    if (!meant)
        meant = suggest_swapped(word, names);
    char dashes[64];
    size_t n = strlen(word);
    if (meant || n >= sizeof dashes)
        return meant;
    for (size_t i = 0; i <= n; i++)
        dashes[i] = word[i] == '_' ? '-' : word[i] == '-' ? '_' : word[i];
    return text_suggest(dashes, names);
}

#define ALIAS_SIZE 64

/* The other spelling that was probably meant, put into `alias`. */
static const char *suggest_alias(const struct conf_schema *schema, const char *word,
                                 char alias[ALIAS_SIZE])
{
    const char *const names[] = {alias, NULL};
    for (size_t i = 0; i < schema->n_fields; i++) {
        const char *p = schema->fields[i].aliases;
        while (p && *p) {
            size_t n = strcspn(p, " ");
            (void)snprintf(alias, ALIAS_SIZE, "%.*s", (int)n, p);
            if (suggest(word, names))
                return alias;
            p += n + strspn(p + n, " ");
        }
    }
    return NULL;
}

int words_unknown_key(const struct conf_doc *doc, const struct conf_schema *schema,
                      const struct conf_node *key, struct error *err)
{
    const char *names[CONF_FIELDS_MAX + 1];
    known_keys(schema, names);
    struct buf list = BUF_INIT(BUF_MAX_DEFAULT);
    list_names(&list, names);
    char alias[ALIAS_SIZE];
    const char *meant = suggest(key->text, names);
    if (!meant)
        meant = suggest_alias(schema, key->text, alias);
    int rc;
    if (is_toml(doc))
        rc = conf_fail(doc, key, err, "unknown field `%s`, expected %s", key->text,
                       buf_cstr(&list));
    else if (meant)
        rc = conf_fail(doc, key, err, "unknown key '%s' in %s, did you mean '%s'?",
                       key->text, schema->what, meant);
    else if (list.len <= LIST_MAX)
        rc = conf_fail(doc, key, err, "unknown key '%s' in %s, expected %s", key->text,
                       schema->what, buf_cstr(&list));
    else
        rc =
            conf_fail(doc, key, err, "unknown key '%s' in %s", key->text, schema->what);
    if (list.failed)
        rc = error_nomem(err);
    buf_release(&list);
    return rc;
}

int words_missing_key(const struct conf_doc *doc, const struct conf_schema *schema,
                      const struct conf_node *map, const char *key, struct error *err)
{
    if (is_toml(doc))
        return conf_fail(doc, map, err, "missing field `%s`", key);
    return conf_fail(doc, map, err, "%s needs the key '%s'", schema->what, key);
}

int words_duplicate_key(const struct conf_doc *doc, const struct conf_node *key,
                        const char *same_as, struct error *err)
{
    if (is_toml(doc))
        return conf_fail(doc, key, err, "duplicate field `%s`", same_as);
    return conf_fail(doc, key, err, "key '%s' says '%s' a second time", key->text,
                     same_as);
}

static const char *toml_describe(const struct conf_node *node, char found[FOUND_MAX])
{
    int cut = node->kind < CONF_SEQ ? (int)text_cut(node->text, 64) : 0;
    switch (conf_kind(node)) {
    case CONF_BOOL:
        (void)snprintf(found, FOUND_MAX, "boolean `%.*s`", cut, node->text);
        break;
    case CONF_INT:
        (void)snprintf(found, FOUND_MAX, "integer `%.*s`", cut, node->text);
        break;
    case CONF_FLOAT:
        (void)snprintf(found, FOUND_MAX, "floating point `%.*s`", cut, node->text);
        break;
    case CONF_STRING:
        (void)snprintf(found, FOUND_MAX, "string \"%.*s\"", cut, node->text);
        break;
    case CONF_SEQ:
        (void)snprintf(found, FOUND_MAX, "sequence");
        break;
    case CONF_NULL:
    case CONF_DATE:
    case CONF_MAP:
        (void)snprintf(found, FOUND_MAX, "map");
        break;
    }
    return found;
}

int conf_expected(const struct conf_doc *doc, const struct conf_node *node,
                  struct error *err, const char *what)
{
    char found[FOUND_MAX];
    /* Texts of options are strings of C: what does not fit one is not "a string". */
    if (node->kind == CONF_STRING && strlen(node->text) != node->n)
        return conf_fail(doc, node, err, "a NUL character is not possible here");
    if (is_toml(doc))
        return conf_fail(doc, node, err, "invalid type: %s, expected %s",
                         toml_describe(node, found), what);
    return conf_fail(doc, node, err, "expected %s, found %s", what,
                     conf_describe(node, found, sizeof found));
}

int words_wrong_type(const struct conf_doc *doc, const struct conf_node *node,
                     enum conf_type wanted, struct error *err)
{
    static const struct {
        const char *common, *toml;
    } names[] = {
        [CONF_AS_BOOL] = {"true or false", "a boolean"},
        [CONF_AS_I32] = {"a whole number", "i32"},
        [CONF_AS_U32] = {"a whole number", "u32"},
        [CONF_AS_I64] = {"a whole number", "i64"},
        [CONF_AS_U64] = {"a whole number", "u64"},
        [CONF_AS_DOUBLE] = {"a number", "f64"},
        [CONF_AS_STRING] = {"a text", "a string"},
        [CONF_AS_TEXT] = {"a text", "a string"},
        [CONF_AS_STRINGS] = {"a list of texts", "a sequence"},
        [CONF_AS_TEXTS] = {"a list of texts", "a sequence"},
        [CONF_AS_ENUM] = {"a text", "a string"},
        [CONF_AS_MAP] = {"a map", "a map"},
        [CONF_AS_NODE] = {"a value", "a value"},
        [CONF_AS_SCALAR] = {"a text or number", "a string"},
        [CONF_AS_CALL] = {"a value", "a value"},
    };
    return conf_expected(doc, node, err,
                         is_toml(doc) ? names[wanted].toml : names[wanted].common);
}

int words_out_of_range(const struct conf_doc *doc, const struct conf_node *node,
                       const struct conf_field *field, int64_t min, uint64_t max,
                       struct error *err)
{
    char found[FOUND_MAX];
    bool own = field->min != 0 || field->max != 0;
    if (is_toml(doc) && !own)
        return conf_fail(doc, node, err, "invalid value: %s, expected %s",
                         toml_describe(node, found),
                         field->type == CONF_AS_I32   ? "i32"
                         : field->type == CONF_AS_U32 ? "u32"
                         : field->type == CONF_AS_I64 ? "i64"
                                                      : "u64");
    return conf_fail(doc, node, err,
                     "expected a number from %" PRId64 " to %" PRIu64 ", found %s", min,
                     max, conf_describe(node, found, sizeof found));
}

int words_unknown_name(const struct conf_doc *doc, const struct conf_node *node,
                       const char *const *names, struct error *err)
{
    char found[FOUND_MAX];
    struct buf list = BUF_INIT(BUF_MAX_DEFAULT);
    list_names(&list, names);
    const char *meant = suggest(node->text, names);
    int rc;
    if (is_toml(doc))
        rc = conf_fail(doc, node, err, "unknown variant `%s`, expected %s", node->text,
                       buf_cstr(&list));
    else
        rc = conf_fail(doc, node, err, "expected %s, found %s%s%s%s", buf_cstr(&list),
                       conf_describe(node, found, sizeof found),
                       meant ? ", did you mean '" : "", meant ? meant : "",
                       meant ? "'?" : "");
    if (list.failed)
        rc = error_nomem(err);
    buf_release(&list);
    return rc;
}
