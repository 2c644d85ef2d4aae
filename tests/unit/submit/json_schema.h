/*
 * Checks a document against a JSON Schema: as much of draft 2020-12 as the schemas in
 * docs/ use. A keyword that is not known here fails the test program.
 */
#ifndef HQ_TEST_JSON_SCHEMA_H
#define HQ_TEST_JSON_SCHEMA_H

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf/conf.h"

struct json_schema {
    const struct conf_node *root;
    const char *unknown; /* a keyword that this file does not know */
};

static inline bool schema_valid(struct json_schema *s, const struct conf_node *rule,
                                const struct conf_node *node);

static inline double schema_number(const struct conf_node *node)
{
    return strtod(node->text, NULL);
}

static inline bool schema_matches(const char *pattern, const char *text)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0) {
        (void)fprintf(stderr, "bad pattern: %s\n", pattern);
        exit(2);
    }
    bool found = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

static inline bool schema_type_is(const struct conf_node *node, const char *name)
{
    static const char *const names[] = {
        [CONF_NULL] = "null",    [CONF_BOOL] = "boolean",  [CONF_INT] = "integer",
        [CONF_FLOAT] = "number", [CONF_STRING] = "string", [CONF_DATE] = "string",
        [CONF_SEQ] = "array",    [CONF_MAP] = "object"};
    return strcmp(names[node->kind], name) == 0 ||
           (node->kind == CONF_INT && strcmp(name, "number") == 0);
}

static inline bool schema_type(const struct conf_node *rule,
                               const struct conf_node *node)
{
    if (rule->kind != CONF_SEQ)
        return schema_type_is(node, rule->text);
    for (uint32_t i = 0; i < rule->n; i++)
        if (schema_type_is(node, rule->items[i]->text))
            return true;
    return false;
}

/* Fields of a map: by name, by pattern, and all others. */
static inline bool schema_members(struct json_schema *s, const struct conf_node *rule,
                                  const struct conf_node *node)
{
    const struct conf_node *properties = conf_get(rule, "properties");
    const struct conf_node *patterns = conf_get(rule, "patternProperties");
    const struct conf_node *others = conf_get(rule, "additionalProperties");
    const struct conf_node *names = conf_get(rule, "propertyNames");
    for (uint32_t i = 0; node->kind == CONF_MAP && i < node->n; i++) {
        const struct conf_pair *p = &node->pairs[i];
        struct conf_node name = *p->key;
        name.kind = CONF_STRING;
        const struct conf_node *own =
            properties ? conf_get(properties, name.text) : NULL;
        bool known = own != NULL;
        if ((names && !schema_valid(s, names, &name)) ||
            (own && !schema_valid(s, own, p->value)))
            return false;
        for (uint32_t k = 0; patterns && k < patterns->n; k++) {
            if (!schema_matches(patterns->pairs[k].key->text, name.text))
                continue;
            known = true;
            if (!schema_valid(s, patterns->pairs[k].value, p->value))
                return false;
        }
        if (!known && others && !schema_valid(s, others, p->value))
            return false;
    }
    return true;
}

static inline size_t schema_count(struct json_schema *s, const struct conf_node *rules,
                                  const struct conf_node *node)
{
    size_t n = 0;
    for (uint32_t i = 0; i < rules->n; i++)
        n += schema_valid(s, rules->items[i], node);
    return n;
}

static inline bool schema_required(const struct conf_node *keys,
                                   const struct conf_node *node)
{
    for (uint32_t i = 0; node->kind == CONF_MAP && i < keys->n; i++)
        if (!conf_get(node, keys->items[i]->text))
            return false;
    return true;
}

static inline bool schema_enum(const struct conf_node *values,
                               const struct conf_node *node)
{
    for (uint32_t i = 0; i < values->n; i++)
        if (node->kind == CONF_STRING &&
            strcmp(values->items[i]->text, node->text) == 0)
            return true;
    return false;
}

static inline bool schema_items(struct json_schema *s, const struct conf_node *rule,
                                const struct conf_node *node)
{
    for (uint32_t i = 0; node->kind == CONF_SEQ && i < node->n; i++)
        if (!schema_valid(s, rule, node->items[i]))
            return false;
    return true;
}

/* "#/$defs/name" */
static inline bool schema_ref(struct json_schema *s, const char *ref,
                              const struct conf_node *node)
{
    static const char prefix[] = "#/$defs/";
    const struct conf_node *defs = conf_get(s->root, "$defs");
    const struct conf_node *rule = NULL;
    if (defs && strncmp(ref, prefix, sizeof prefix - 1) == 0)
        rule = conf_get(defs, ref + sizeof prefix - 1);
    if (!rule)
        s->unknown = ref;
    return rule && schema_valid(s, rule, node);
}

static inline bool schema_keyword(struct json_schema *s, const char *word,
                                  const struct conf_node *rule,
                                  const struct conf_node *node)
{
    bool number = node->kind == CONF_INT || node->kind == CONF_FLOAT;
    bool text = node->kind == CONF_STRING;
    bool list = node->kind == CONF_SEQ, map = node->kind == CONF_MAP;
    static const char *const passed[] = {"$schema",
                                         "$defs",
                                         "title",
                                         "description",
                                         "properties",
                                         "patternProperties",
                                         "additionalProperties",
                                         "propertyNames"};
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
        if (strcmp(word, passed[i]) == 0)
            return true;
#define IS(name) (strcmp(word, (name)) == 0)
    if (IS("$ref"))
        return schema_ref(s, rule->text, node);
    if (IS("type"))
        return schema_type(rule, node);
    if (IS("enum"))
        return schema_enum(rule, node);
    if (IS("anyOf"))
        return schema_count(s, rule, node) > 0;
    if (IS("allOf"))
        return schema_count(s, rule, node) == rule->n;
    if (IS("not"))
        return !schema_valid(s, rule, node);
    if (IS("required"))
        return schema_required(rule, node);
    if (IS("items"))
        return schema_items(s, rule, node);
    if (IS("pattern"))
        return !text || schema_matches(rule->text, node->text);
    if (IS("minItems") || IS("minProperties") || IS("minLength"))
        return !(IS("minItems")    ? list
                 : IS("minLength") ? text
                                   : map) ||
               node->n >= (uint32_t)schema_number(rule);
    if (IS("maxItems") || IS("maxProperties") || IS("maxLength"))
        return !(IS("maxItems")    ? list
                 : IS("maxLength") ? text
                                   : map) ||
               node->n <= (uint32_t)schema_number(rule);
    if (IS("minimum"))
        return !number || schema_number(node) >= schema_number(rule);
    if (IS("exclusiveMinimum"))
        return !number || schema_number(node) > schema_number(rule);
    if (IS("maximum"))
        return !number || schema_number(node) <= schema_number(rule);
#undef IS
    s->unknown = word;
    return false;
}

static inline bool schema_valid(struct json_schema *s, const struct conf_node *rule,
                                const struct conf_node *node)
{
    bool valid = true;
    if (rule->kind == CONF_BOOL)
        return strcmp(rule->text, "true") == 0;
    for (uint32_t i = 0; i < rule->n; i++)
        valid &=
            schema_keyword(s, rule->pairs[i].key->text, rule->pairs[i].value, node);
    return valid && schema_members(s, rule, node);
}

#endif
