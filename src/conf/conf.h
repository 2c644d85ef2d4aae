/*
 * Files that people write: YAML, TOML and JSON, read into one tree of nodes that know
 * their place in the file, and decoded from there by schema tables.
 *
 * A struct conf_doc owns everything: a copy of the text, the nodes, the strings that
 * decoding makes (conf_alloc). It belongs to one thread. Nodes are read-only for users;
 * only conf_substitute changes them. A node may be reachable in several ways (YAML
 * aliases share it), never from inside itself, and no path is longer than
 * CONF_DEPTH_MAX.
 *
 * Every failure is told with its place:
 *     flow.yml:12:5: unknown key 'comand' in a task, did you mean 'command'?
 *         comand: [make]
 *         ^
 * A TOML document tells it as TOML readers commonly do, with a newline at the end:
 *     TOML parse error at line 2, column 1
 *       |
 *     2 | [[task]]
 *       | ^^^^^^^^
 *     missing field `command`
 */
#ifndef HQ_CONF_CONF_H
#define HQ_CONF_CONF_H

#include "base/buf.h"
#include "base/error.h"

#define CONF_INPUT_MAX ((size_t)256 << 20) /* bytes of a file */
#define CONF_DEPTH_MAX 128                 /* nesting, aliases followed */
#define CONF_ALIAS_NODES_MAX 10000000 /* nodes that the aliases of a file stand for */

enum conf_format { CONF_YAML, CONF_TOML, CONF_JSON };

enum conf_kind {
    CONF_NULL,
    CONF_BOOL,
    CONF_INT,
    CONF_FLOAT,
    CONF_STRING,
    CONF_DATE, /* TOML's dates and times */
    CONF_SEQ,
    CONF_MAP
};

struct conf_node;

struct conf_pair {
    struct conf_node *key; /* a scalar */
    struct conf_node *value;
};

struct conf_node {
    uint8_t kind; /* enum conf_kind */
    bool quoted;  /* a scalar that the file has in quotes (or as a YAML block) */
    bool param;   /* a scalar that was one ${{ parameter }} as a whole */
    bool visited; /* private */
    uint32_t at;  /* where it starts, in bytes of the text */
    uint32_t end; /* behind its last byte; `at` where the reader does not know */
    uint32_t n;   /* bytes of text, items or pairs */
    union {
        /* Scalars: as written, without quotes and escapes; digits are never touched. A
         * NUL follows. */
        const char *text;
        struct conf_node **items; /* CONF_SEQ */
        struct conf_pair *pairs;  /* CONF_MAP, in the order of the file */
    };
};

struct conf_doc; /* opaque */

/* ---- reading ---- */

/*
 * Each reads one whole document; `name` is what errors call it (borrowed for the call).
 * *out is untouched on failure: ERR_PARSE with the place, ERR_TOO_BIG, ERR_NOMEM.
 *
 * YAML: scalars by the 1.2 core schema (`no`, `on` and `10:00` are text); anchors,
 * aliases and merge keys (`<<: *a`, `<<: [*a, *b]`; explicit keys win, then the earlier
 * map); an empty file is a null node. Refused by name: second documents, duplicate
 * keys, tags outside the core schema, keys that are no scalars, aliases that expand to
 * more than CONF_ALIAS_NODES_MAX nodes.
 */
int conf_parse_yaml(const char *name, const void *data, size_t n, struct conf_doc **out,
                    struct error *err) MUST_CHECK;
/* TOML 1.0; the root is always a map. Tables point at their header. */
int conf_parse_toml(const char *name, const void *data, size_t n, struct conf_doc **out,
                    struct error *err) MUST_CHECK;
/* JSON (RFC 8259, keys unique). A NULL name stands for data of other programs: a syntax
 * error is one line, "EOF while parsing a list at line 2 column 0", and of the values
 * of one key the last counts. */
int conf_parse_json(const char *name, const void *data, size_t n, struct conf_doc **out,
                    struct error *err) MUST_CHECK;
int conf_parse(enum conf_format format, const char *name, const void *data, size_t n,
               struct conf_doc **out, struct error *err) MUST_CHECK;
void conf_destroy(struct conf_doc *doc);

const struct conf_node *conf_root(const struct conf_doc *doc);
const char *conf_name(const struct conf_doc *doc);
enum conf_format conf_format(const struct conf_doc *doc);
/* Memory that lives as long as the document; NULL: out of memory. */
void *conf_alloc(struct conf_doc *doc, size_t n);

/* ---- nodes ---- */

struct conf_mark {
    uint32_t line;   /* from 1 */
    uint32_t column; /* from 1, in characters */
};

/* Counts lines from the start: for messages, not for every node. */
struct conf_mark conf_mark(const struct conf_doc *doc, const struct conf_node *node);

static inline enum conf_kind conf_kind(const struct conf_node *node)
{
    return (enum conf_kind)node->kind;
}
static inline bool conf_is_scalar(const struct conf_node *node)
{
    return node->kind < CONF_SEQ;
}
/* The value of that key, by its exact text; NULL if the node has none or is no map. */
const struct conf_node *conf_get(const struct conf_node *map, const char *key);
const struct conf_pair *conf_get_pair(const struct conf_node *map, const char *key);
/* The value of a scalar; false when it is of another kind or does not fit. Integers are
 * fine as doubles; a scalar that was one parameter is whatever its text can be read as.
 */
bool conf_bool(const struct conf_node *node, bool *out);
bool conf_int(const struct conf_node *node, int64_t *out);
bool conf_uint(const struct conf_node *node, uint64_t *out);
bool conf_float(const struct conf_node *node, double *out);
bool conf_string(const struct conf_node *node, const char **out);
/* What a message calls the node: "a list", "the number 7", "the text 'x'". */
const char *conf_describe(const struct conf_node *node, char *out, size_t size);
/* The kind that unquoted text has in YAML's core schema. */
enum conf_kind conf_resolve(const char *text, size_t n);

/* ---- errors ---- */

/* A message with the node's place; returns ERR_PARSE. */
int conf_fail(const struct conf_doc *doc, const struct conf_node *node,
              struct error *err, const char *fmt, ...) PRINTF(4, 5);
/* Gives a place to the message already in err; returns err->code. */
int conf_locate(const struct conf_doc *doc, const struct conf_node *node,
                struct error *err);
/* As long as it is set (NULL: not), messages point at this node whatever they are
 * about: job files report everything inside a task at its `[[task]]`. */
void conf_blame(struct conf_doc *doc, const struct conf_node *node);

/* ---- parameters ---- */

struct conf_params {
    /* The value of a parameter, NULL if it is not declared. */
    const char *(*lookup)(void *arg, const char *name);
    void *arg;
    const char *const
        *names; /* the declared ones for suggestions, NULL-ended; or NULL */
};

/*
 * Replaces every `${{ name }}` in the string values of the document, except below
 * `skip` (may be NULL); at most once in its life, what the values bring is not replaced
 * again. An unquoted scalar that consists of one parameter gets the kind its new text
 * has in the core schema. Fails on undeclared names, on `${{` without an end and in
 * keys; the document is then partly replaced and good for messages only.
 */
int conf_substitute(struct conf_doc *doc, const struct conf_node *skip,
                    const struct conf_params *params, struct error *err) MUST_CHECK;

/* ---- decoding ---- */

struct conf_schema;
struct conf_field;

/* Decodes `value` into `member`; `user` is what conf_decode was called with. */
typedef int (*conf_decode_fn)(struct conf_doc *doc, const struct conf_node *value,
                              const struct conf_field *field, void *member, void *user,
                              struct error *err);

/* What a key takes, and the type of the member it is stored in. */
enum conf_type {
    CONF_AS_BOOL,    /* bool */
    CONF_AS_I32,     /* int32_t; numbers within min and max unless both are 0 */
    CONF_AS_U32,     /* uint32_t */
    CONF_AS_I64,     /* int64_t */
    CONF_AS_U64,     /* uint64_t */
    CONF_AS_DOUBLE,  /* double; integers too */
    CONF_AS_STRING,  /* const char *: a string, without NUL bytes */
    CONF_AS_TEXT,    /* const char *: any scalar but null, as written */
    CONF_AS_STRINGS, /* struct conf_words: a list of strings */
    CONF_AS_TEXTS,   /* struct conf_words: a list of scalars, as written */
    CONF_AS_ENUM,    /* int: index of the text in `names` */
    CONF_AS_MAP,     /* the struct of `schema` */
    CONF_AS_NODE,    /* const struct conf_node *: anything */
    CONF_AS_SCALAR,  /* const struct conf_node *: any scalar but null */
    CONF_AS_CALL     /* whatever `decode` makes of it */
};

struct conf_words {
    const char **v; /* NULL-ended; owned by the document */
    uint32_t n;
};

enum {
    CONF_REQUIRED = 1, /* the key must be there */
    CONF_RESERVED = 2, /* known, but refused for now */
    CONF_OPTIONAL = 4, /* null counts as absent */
    CONF_OR_ONE = 8    /* lists: one scalar stands for a list of one */
};

struct conf_field {
    const char *key;
    const char *aliases; /* more spellings, separated by blanks; or NULL */
    enum conf_type type;
    unsigned flags;
    size_t offset;                    /* of the member */
    const struct conf_schema *schema; /* CONF_AS_MAP */
    const char *const *names;         /* CONF_AS_ENUM, NULL-ended */
    conf_decode_fn decode;            /* CONF_AS_CALL */
    int64_t min, max;                 /* of numbers; both 0: what the type holds */
    const void *arg;                  /* for `decode` */
};

enum {
    CONF_DASHES = 1,        /* '-' and '_' are the same in keys */
    CONF_IGNORE_UNKNOWN = 2 /* keys that no field has are passed over */
};

#define CONF_FIELDS_MAX 64

struct conf_schema {
    const char *what; /* what messages call such a map: "a task" */
    const struct conf_field *fields;
    size_t n_fields;
    unsigned flags;
};

#define CONF_SCHEMA(what_, fields_, flags_)               \
    {                                                     \
        (what_), (fields_), ARRAY_SIZE(fields_), (flags_) \
    }

/*
 * Decodes the map `node` into the struct at `out`, whose members keep their values
 * where the map says nothing. Bit i of *seen (may be NULL) is set when field i was
 * given. What an earlier member was given may be written already when a later one
 * fails.
 */
int conf_decode(struct conf_doc *doc, const struct conf_node *node,
                const struct conf_schema *schema, void *out, void *user, uint64_t *seen,
                struct error *err) MUST_CHECK;
/* One value by the type, names, bounds and so on of a field. */
int conf_decode_value(struct conf_doc *doc, const struct conf_node *node,
                      const struct conf_field *field, void *member, void *user,
                      struct error *err) MUST_CHECK;
/* The message of a value of the wrong kind: "expected <what>, found a list"; ERR_PARSE.
 */
int conf_expected(const struct conf_doc *doc, const struct conf_node *node,
                  struct error *err, const char *what);

/* ---- writing ---- */

/*
 * The node as compact JSON: no blanks, keys ascending, integers up to 64 bits as they
 * are, other numbers in their shortest form. Dates become strings, nan and infinity
 * null.
 */
void conf_print_json(struct buf *out, const struct conf_node *node);

#endif
