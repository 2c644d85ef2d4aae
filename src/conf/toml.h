/*
 * Private to conf: the two halves of the TOML reader. toml.c reads lines, headers and
 * values, toml_tables.c knows which tables may be opened and extended, toml_scalar.c
 * reads strings, numbers and dates.
 */
#ifndef HQ_CONF_TOML_H
#define HQ_CONF_TOML_H

#include "conf/keys.h"

struct toml {
    struct conf_doc *doc;
    struct error *err;
    const char *text; /* a NUL follows */
    size_t pos, n;
    unsigned depth; /* of values being read, with the table they stand in */
};

/* ---- tables ---- */

enum toml_origin {
    TOML_PARENT, /* named only on the way to another header; may get its own once */
    TOML_HEADER, /* has had its header */
    TOML_DOTTED, /* made by a dotted key; other dotted keys may extend it */
    TOML_INLINE  /* complete */
};

struct toml_table {
    struct conf_node node; /* CONF_MAP; first, so that a node leads back to it */
    enum toml_origin origin;
    uint32_t cap;
    unsigned depth; /* 1: the root */
    struct keys keys;
};

struct toml_array {
    struct conf_node node; /* CONF_SEQ */
    uint32_t cap;
    bool of_tables; /* made by [[headers]] */
};

/* One part of a dotted key. */
struct toml_key {
    struct conf_node *node;
    struct toml_key *next;
};

/* NULL: out of memory. */
struct toml_table *toml_table(struct toml *t, enum toml_origin origin, unsigned depth,
                              size_t at, size_t end);
struct toml_array *toml_array(struct toml *t, bool of_tables, size_t at, size_t end);
int toml_append(struct toml *t, struct toml_array *array,
                struct conf_node *item) MUST_CHECK;
/* Finds or makes the table of [key] or [[key]], whose header is the bytes [at, end). */
int toml_open(struct toml *t, struct toml_table *root, const struct toml_key *key,
              bool element, size_t at, size_t end, struct toml_table **out) MUST_CHECK;
/* Stores key = value in the table. */
int toml_store(struct toml *t, struct toml_table *table, const struct toml_key *key,
               struct conf_node *value) MUST_CHECK;

/* ---- scalars ---- */

/* The string that starts at pos (either quote, one or three) as a node. */
int toml_string(struct toml *t, bool multiline_too, struct conf_node **out) MUST_CHECK;
/* A boolean, number or date that starts at pos. */
int toml_bare_value(struct toml *t, struct conf_node **out) MUST_CHECK;
/* CONF_DATE for a complete date, time or both, CONF_NULL for anything else. */
enum conf_kind toml_date_kind(const char *s, size_t n);

#endif
