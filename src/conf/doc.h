/*
 * Private to conf: the document behind all readers, and messages with a place in it.
 */
#ifndef HQ_CONF_DOC_H
#define HQ_CONF_DOC_H

#include "base/arena.h"
#include "conf/conf.h"

struct conf_doc {
    struct arena arena;
    enum conf_format format;
    const char *name; /* NULL: one-line messages (JSON only) */
    char *text;       /* the input, valid UTF-8; a NUL follows */
    uint32_t n;
    struct conf_node *root;
    const struct conf_node *blame;
};

/* A document without root; fails on too long input and on bytes that are no UTF-8. */
int doc_create(enum conf_format format, const char *name, const void *data, size_t n,
               struct conf_doc **out, struct error *err) MUST_CHECK;
/* A node of that kind at [at, end); NULL: out of memory. */
struct conf_node *doc_node(struct conf_doc *doc, enum conf_kind kind, size_t at,
                           size_t end);
/* A scalar with a copy of the text; NULL: out of memory. */
struct conf_node *doc_scalar(struct conf_doc *doc, enum conf_kind kind, size_t at,
                             size_t end, const char *text, size_t n);

/* A message about the bytes [at, end); returns ERR_PARSE. */
int doc_fail(const struct conf_doc *doc, size_t at, size_t end, struct error *err,
             const char *fmt, ...) PRINTF(5, 6);
int doc_vfail(const struct conf_doc *doc, size_t at, size_t end, struct error *err,
              const char *fmt, va_list args) __attribute__((format(printf, 5, 0)));

/* Length of the longest valid UTF-8 start of s. */
size_t utf8_valid(const char *s, size_t n);
/* Writes the character in 1 to 4 bytes. */
size_t utf8_put(char *to, uint32_t c);

#endif
