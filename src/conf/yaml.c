/*
 * YAML into nodes: libyaml's events, children gathered on one stack, copied to their
 * parent when it ends. Aliases share the node of their anchor, so that memory does not
 * grow with them; what a walk over the tree would visit is counted instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>
#include "base/strmap.h"
#include "conf/keys.h"
#include "conf/yaml_text.h"

struct anchor {
    struct conf_node *node;
    uint64_t weight; /* nodes in it, aliases followed */
    unsigned height; /* of the tree below, a scalar is 1 */
    bool open;       /* its end has not been read yet */
};

/* A sequence or map that is being read. */
struct frame {
    struct conf_node *node;
    struct anchor *anchor; /* or NULL */
    size_t first;          /* its first child on the stack */
    uint64_t weight_before;
    unsigned height; /* of the highest child */
};

struct reader {
    yaml_parser_t parser;
    struct conf_doc *doc;
    struct error *err;
    struct yaml_text text;
    struct strmap *anchors;
    struct conf_node **stack;
    size_t n_stack, cap_stack;
    struct conf_pair *pairs; /* of the map that just ended */
    uint32_t n_pairs, cap_pairs;
    struct keys keys;
    uint64_t weight;      /* nodes so far, aliases followed */
    uint64_t alias_nodes; /* the part of it that came through aliases */
    unsigned depth;
    struct frame frames[CONF_DEPTH_MAX];
};

/* ---- anchors ---- */

static int set_anchor(struct reader *r, const yaml_char_t *name, struct conf_node *node,
                      bool open, struct anchor **out)
{
    *out = NULL;
    if (!name)
        return 0;
    struct anchor *a = arena_alloc(&r->doc->arena, sizeof *a);
    if (!a)
        return error_nomem(r->err);
    *a = (struct anchor){.node = node, .weight = 1, .height = 1, .open = open};
    const char *key = (const char *)name;
    (void)strmap_remove(r->anchors, key, strlen(key));
    if (strmap_add(r->anchors, key, strlen(key), a) != 0)
        return error_nomem(r->err);
    *out = a;
    return 0;
}

/* ---- the tree ---- */

/* Inside of something: whether the next child is a key. */
static bool is_key_place(const struct reader *r)
{
    const struct frame *f = &r->frames[r->depth - 1];
    return f->node->kind == CONF_MAP && (r->n_stack - f->first) % 2 == 0;
}

/* Hands a complete node (or one that begins) to its parent. */
static int add_child(struct reader *r, struct conf_node *node)
{
    if (r->depth == 0) {
        r->doc->root = node;
        return 0;
    }
    if (is_key_place(r) && !conf_is_scalar(node))
        return conf_fail(r->doc, node, r->err, "a %s cannot be a key",
                         node->kind == CONF_MAP ? "map" : "list");
    if (r->n_stack == r->cap_stack) {
        size_t cap = r->cap_stack ? r->cap_stack * 2 : 256;
        struct conf_node **more = realloc(r->stack, cap * sizeof *more);
        if (!more)
            return error_nomem(r->err);
        r->stack = more;
        r->cap_stack = cap;
    }
    r->stack[r->n_stack++] = node;
    return 0;
}

static void note_height(struct reader *r, unsigned height)
{
    if (r->depth > 0)
        r->frames[r->depth - 1].height = MAX(r->frames[r->depth - 1].height, height);
}

static int on_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    size_t at = yaml_text_at(&r->text, event->start_mark.index);
    const struct anchor *a = strmap_get(r->anchors, name, strlen(name));
    if (!a)
        return doc_fail(r->doc, at, at, r->err, "there is no anchor '&%s' before this",
                        name);
    if (a->open)
        return doc_fail(r->doc, at, at, r->err, "anchor '&%s' is used inside itself",
                        name);
    r->alias_nodes += a->weight;
    r->weight += a->weight;
    if (r->alias_nodes > CONF_ALIAS_NODES_MAX)
        return doc_fail(r->doc, at, at, r->err,
                        "the aliases of this file stand for more than %d nodes",
                        CONF_ALIAS_NODES_MAX);
    if (r->depth + a->height > CONF_DEPTH_MAX)
        return doc_fail(r->doc, at, at, r->err, "nesting is deeper than %d levels here",
                        CONF_DEPTH_MAX);
    note_height(r, a->height);
    return add_child(r, a->node);
}

/* The kind of a scalar by style and tag. */
static int scalar_kind(struct reader *r, const yaml_event_t *event, size_t at,
                       enum conf_kind *kind, bool *quoted)
{
    const char *text = (const char *)event->data.scalar.value;
    const char *tag = (const char *)event->data.scalar.tag;
    size_t n = event->data.scalar.length;
    *quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!tag) {
        *kind = *quoted ? CONF_STRING : conf_resolve(text, n);
        return 0;
    }
    enum yaml_tag known = yaml_tag_of(tag);
    char shown[YAML_TAG_SHOWN_MAX];
    if (known == YAML_TAG_OTHER)
        return doc_fail(r->doc, at, at, r->err, "tag '%s' is not supported",
                        yaml_tag_show(tag, shown));
    *kind = CONF_STRING;
    if (known == YAML_TAG_TEXT || known == YAML_TAG_NONE) {
        *quoted = true;
        return 0;
    }
    *kind = conf_resolve(text, n);
    if (!yaml_tag_fits(known, *kind))
        return doc_fail(r->doc, at, at, r->err, "tag '%s' does not fit this text",
                        yaml_tag_show(tag, shown));
    *quoted = false;
    return 0;
}

static int on_scalar(struct reader *r, const yaml_event_t *event)
{
    size_t at = yaml_text_at(&r->text, event->start_mark.index);
    enum conf_kind kind = CONF_STRING;
    bool quoted = false;
    int rc = scalar_kind(r, event, at, &kind, &quoted);
    if (rc)
        return rc;
    struct anchor *anchor;
    struct conf_node *node =
        doc_scalar(r->doc, kind, at, at, (const char *)event->data.scalar.value,
                   event->data.scalar.length);
    if (!node)
        return error_nomem(r->err);
    node->quoted = quoted;
    r->weight++;
    note_height(r, 1);
    rc = set_anchor(r, event->data.scalar.anchor, node, false, &anchor);
    return rc ? rc : add_child(r, node);
}

static int on_begin(struct reader *r, const yaml_event_t *event, enum conf_kind kind)
{
    bool map = kind == CONF_MAP;
    const char *tag = (const char *)(map ? event->data.mapping_start.tag
                                         : event->data.sequence_start.tag);
    const yaml_char_t *name =
        map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    size_t at = yaml_text_at(&r->text, event->start_mark.index);
    char shown[YAML_TAG_SHOWN_MAX];
    if (tag && !yaml_tag_fits(yaml_tag_of(tag), kind))
        return doc_fail(r->doc, at, at, r->err, "tag '%s' is not supported for a %s",
                        yaml_tag_show(tag, shown), map ? "map" : "list");
    if (r->depth == CONF_DEPTH_MAX)
        return doc_fail(r->doc, at, at, r->err, "nesting is deeper than %d levels here",
                        CONF_DEPTH_MAX);
    struct conf_node *node = doc_node(r->doc, kind, at, at);
    if (!node)
        return error_nomem(r->err);
    struct anchor *anchor;
    int rc = set_anchor(r, name, node, true, &anchor);
    if (rc == 0)
        rc = add_child(r, node);
    if (rc)
        return rc;
    r->frames[r->depth++] = (struct frame){.node = node,
                                           .anchor = anchor,
                                           .first = r->n_stack,
                                           .weight_before = r->weight++};
    return 0;
}

/* ---- maps and their merge keys ---- */

static int push_pair(struct reader *r, struct conf_node *key, struct conf_node *value)
{
    if (r->n_pairs == r->cap_pairs) {
        uint32_t cap = r->cap_pairs ? r->cap_pairs * 2 : 64;
        struct conf_pair *more = realloc(r->pairs, cap * sizeof *more);
        if (!more)
            return error_nomem(r->err);
        r->pairs = more;
        r->cap_pairs = cap;
    }
    r->pairs[r->n_pairs++] = (struct conf_pair){key, value};
    if (!keys_add(&r->keys, &r->doc->arena, r->pairs, r->n_pairs))
        return error_nomem(r->err);
    return 0;
}

static int fail_duplicate(struct reader *r, const struct conf_node *again,
                          const struct conf_node *first)
{
    return conf_fail(r->doc, again, r->err,
                     "duplicate key '%s', first given in line %u", again->text,
                     conf_mark(r->doc, first).line);
}

static bool is_merge_key(const struct conf_node *key)
{
    return key->kind == CONF_STRING && !key->quoted && key->n == 2 &&
           memcmp(key->text, "<<", 2) == 0;
}

/* The pairs that the file gives, without the merge key: its value goes to *merge, and
 * *place is the number of pairs before it. */
static int take_pairs(struct reader *r, const struct frame *f, struct conf_node **merge,
                      uint32_t *place)
{
    const struct conf_node *merge_key = NULL;
    r->n_pairs = 0;
    keys_clear(&r->keys);
    for (size_t i = f->first; i < r->n_stack; i += 2) {
        struct conf_node *key = r->stack[i];
        if (is_merge_key(key)) {
            if (merge_key)
                return fail_duplicate(r, key, merge_key);
            merge_key = key;
            *merge = r->stack[i + 1];
            *place = r->n_pairs;
            continue;
        }
        uint32_t first = keys_find(&r->keys, r->pairs, r->n_pairs, key->text, key->n);
        if (first != UINT32_MAX)
            return fail_duplicate(r, key, r->pairs[first].key);
        int rc = push_pair(r, key, r->stack[i + 1]);
        if (rc)
            return rc;
    }
    return 0;
}

static int merge_map(struct reader *r, const struct conf_node *from)
{
    char found[128];
    if (from->kind != CONF_MAP)
        return conf_fail(r->doc, from, r->err,
                         "'<<' expects a map or a list of maps, found %s",
                         conf_describe(from, found, sizeof found));
    for (uint32_t i = 0; i < from->n; i++) {
        const struct conf_pair *p = &from->pairs[i];
        if (keys_find(&r->keys, r->pairs, r->n_pairs, p->key->text, p->key->n) !=
            UINT32_MAX)
            continue;
        int rc = push_pair(r, p->key, p->value);
        if (rc)
            return rc;
    }
    return 0;
}

static int merge_all(struct reader *r, const struct conf_node *merge)
{
    if (merge->kind != CONF_SEQ)
        return merge_map(r, merge);
    for (uint32_t i = 0; i < merge->n; i++) {
        int rc = merge_map(r, merge->items[i]);
        if (rc)
            return rc;
    }
    return 0;
}

static int end_map(struct reader *r, const struct frame *f)
{
    struct conf_node *merge = NULL;
    uint32_t place = 0;
    int rc = take_pairs(r, f, &merge, &place);
    if (rc)
        return rc;
    uint32_t given = r->n_pairs;
    if (merge && (rc = merge_all(r, merge)) != 0)
        return rc;
    struct conf_pair *pairs = arena_array(&r->doc->arena, r->n_pairs, sizeof *pairs);
    if (!pairs)
        return error_nomem(r->err);
    f->node->pairs = pairs;
    f->node->n = r->n_pairs;
    if (r->n_pairs == 0)
        return 0;
    /* What was merged stands where the merge key stood. */
    uint32_t merged = r->n_pairs - given;
    memcpy(pairs, r->pairs, place * sizeof *pairs);
    memcpy(pairs + place, r->pairs + given, merged * sizeof *pairs);
    memcpy(pairs + place + merged, r->pairs + place, (given - place) * sizeof *pairs);
    return 0;
}

static int end_seq(struct reader *r, const struct frame *f)
{
    size_t n = r->n_stack - f->first;
    f->node->items = arena_array(&r->doc->arena, n, sizeof(struct conf_node *));
    if (!f->node->items)
        return error_nomem(r->err);
    f->node->n = (uint32_t)n;
    if (n)
        memcpy(f->node->items, r->stack + f->first, n * sizeof(struct conf_node *));
    return 0;
}

static int on_end(struct reader *r)
{
    const struct frame *f = &r->frames[r->depth - 1];
    int rc = f->node->kind == CONF_MAP ? end_map(r, f) : end_seq(r, f);
    if (rc)
        return rc;
    r->n_stack = f->first;
    r->depth--;
    if (f->anchor) {
        f->anchor->weight = r->weight - f->weight_before;
        f->anchor->height = f->height + 1;
        f->anchor->open = false;
    }
    note_height(r, f->height + 1);
    return 0;
}

/* ---- the stream ---- */

static int on_event(struct reader *r, const yaml_event_t *event)
{
    size_t at;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return on_alias(r, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(r, event, CONF_SEQ);
    case YAML_MAPPING_START_EVENT:
        return on_begin(r, event, CONF_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(r);
    case YAML_DOCUMENT_START_EVENT:
        if (!r->doc->root)
            return 0;
        at = yaml_text_at(&r->text, event->start_mark.index);
        return doc_fail(r->doc, at, at, r->err,
                        "a second document starts here, a file holds one");
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        break;
    }
    return 0;
}

static int read_stream(struct reader *r)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event))
            return yaml_text_fail(&r->text, r->doc, &r->parser, r->err);
        more = event.type != YAML_STREAM_END_EVENT;
        int rc = on_event(r, &event);
        yaml_event_delete(&event);
        if (rc)
            return rc;
    }
    if (!r->doc->root)
        r->doc->root = doc_scalar(r->doc, CONF_NULL, 0, 0, "", 0);
    return r->doc->root ? 0 : error_nomem(r->err);
}

int conf_parse_yaml(const char *name, const void *data, size_t n, struct conf_doc **out,
                    struct error *err)
{
    struct conf_doc *doc = NULL;
    int rc = doc_create(CONF_YAML, name, data, n, &doc, err);
    if (rc)
        return rc;
    struct reader *r = calloc(1, sizeof *r);
    if (!r || !yaml_parser_initialize(&r->parser)) {
        free(r);
        conf_destroy(doc);
        return error_nomem(err);
    }
    r->doc = doc;
    r->err = err;
    r->anchors = strmap_create();
    yaml_text_init(&r->text, doc);
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser,
                                 (const unsigned char *)doc->text + r->text.start,
                                 n - r->text.start);
    rc = r->anchors ? read_stream(r) : error_nomem(err);
    yaml_parser_delete(&r->parser);
    strmap_destroy(r->anchors);
    free(r->stack);
    free(r->pairs);
    free(r);
    if (rc) {
        conf_destroy(doc);
        return rc;
    }
    *out = doc;
    return 0;
}
