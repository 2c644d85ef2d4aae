/*
 * Private to conf: what libyaml calls things. Its places (counted in characters) as
 * bytes of the text, its complaints as messages, its tags.
 */
#ifndef HQ_CONF_YAML_TEXT_H
#define HQ_CONF_YAML_TEXT_H

#include <yaml.h>
#include "conf/doc.h"

/* A cursor: places come in ascending order but for a few steps back. */
struct yaml_text {
    const char *text;
    size_t n;
    size_t start; /* behind a byte order mark, where libyaml starts */
    bool ascii;   /* characters are bytes */
    size_t character, byte;
};

void yaml_text_init(struct yaml_text *t, const struct conf_doc *doc);
size_t yaml_text_at(struct yaml_text *t, size_t character);
/* The message of a parser that gave up: ERR_PARSE, or ERR_NOMEM. */
int yaml_text_fail(struct yaml_text *t, const struct conf_doc *doc,
                   const yaml_parser_t *parser, struct error *err);

enum yaml_tag {
    YAML_TAG_OTHER,
    YAML_TAG_TEXT, /* !!str */
    YAML_TAG_NULL,
    YAML_TAG_BOOL,
    YAML_TAG_INT,
    YAML_TAG_FLOAT,
    YAML_TAG_SEQ,
    YAML_TAG_MAP,
    YAML_TAG_NONE /* "!": what the style says */
};

#define YAML_TAG_SHOWN_MAX 80

enum yaml_tag yaml_tag_of(const char *tag);
bool yaml_tag_fits(enum yaml_tag tag, enum conf_kind kind);
/* The tag as people write it, in `shown`. */
const char *yaml_tag_show(const char *tag, char shown[YAML_TAG_SHOWN_MAX]);

#endif
