#include "conf/yaml_text.h"

#include <stdio.h>

#define TAG_PREFIX "tag:yaml.org,2002:"

void yaml_text_init(struct yaml_text *t, const struct conf_doc *doc)
{
    *t = (struct yaml_text){.text = doc->text, .n = doc->n, .ascii = true};
    if (doc->n >= 3 && memcmp(doc->text, "\xef\xbb\xbf", 3) == 0)
        t->start = 3;
    for (size_t i = t->start; i < t->n && t->ascii; i++)
        t->ascii = (unsigned char)t->text[i] < 0x80;
    t->byte = t->start;
}

static bool is_inside(const struct yaml_text *t, size_t byte)
{
    return ((unsigned char)t->text[byte] & 0xc0) == 0x80;
}

size_t yaml_text_at(struct yaml_text *t, size_t character)
{
    if (t->ascii)
        return MIN(t->start + character, t->n);
    while (t->character < character && t->byte < t->n) {
        t->byte++;
        while (t->byte < t->n && is_inside(t, t->byte))
            t->byte++;
        t->character++;
    }
    while (t->character > character) {
        t->byte--;
        while (is_inside(t, t->byte))
            t->byte--;
        t->character--;
    }
    return t->byte;
}

/* ---- complaints ---- */

static size_t line_begin(const struct yaml_text *t, size_t at)
{
    while (at > t->start && t->text[at - 1] != '\n')
        at--;
    return at;
}

static bool line_has(const struct yaml_text *t, size_t at, const char *what)
{
    size_t begin = line_begin(t, at);
    const char *nl = memchr(t->text + begin, '\n', t->n - begin);
    size_t end = nl ? (size_t)(nl - t->text) : t->n;
    return memmem(t->text + begin, end - begin, what, strlen(what)) != NULL;
}

/* What probably went wrong, for the mistakes that people make most. */
static const char *hint(const struct yaml_text *t, size_t at, const char *problem)
{
    char c = at < t->n ? t->text[at] : 0;
    if (strstr(problem, "cannot start any token") && c == '\t')
        return "; indent with blanks, not with tabs";
    if (strstr(problem, "cannot start any token"))
        return "; a text that starts like this needs quotes";
    if (strstr(problem, "mapping values are not allowed"))
        return "; a text with ': ' in it needs quotes, or the indentation is wrong";
    if (strstr(problem, "did not find expected ','") && line_has(t, at, "${{"))
        return "; inside of [ ] and { } a '${{ parameter }}' needs quotes";
    if (strstr(problem, "did not find expected ','") && line_has(t, at, "%{"))
        return "; inside of [ ] and { } a '%{placeholder}' needs quotes";
    return "";
}

int yaml_text_fail(struct yaml_text *t, const struct conf_doc *doc,
                   const yaml_parser_t *parser, struct error *err)
{
    const char *problem = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        return error_nomem(err);
    if (parser->error == YAML_READER_ERROR) {
        size_t byte = MIN(t->start + parser->problem_offset, t->n);
        return doc_fail(doc, byte, byte, err, "%s", problem);
    }
    size_t at = yaml_text_at(t, parser->problem_mark.index);
    /* What is never closed is best shown where it was opened. */
    if (parser->context && strstr(problem, "unexpected end of stream")) {
        at = yaml_text_at(t, parser->context_mark.index);
        return doc_fail(doc, at, at, err, "%s %s", problem, parser->context);
    }
    const char *more = hint(t, at, problem);
    if (!parser->context)
        return doc_fail(doc, at, at, err, "%s%s", problem, more);
    if (parser->context_mark.line == parser->problem_mark.line)
        return doc_fail(doc, at, at, err, "%s %s%s", problem, parser->context, more);
    return doc_fail(doc, at, at, err, "%s %s from line %zu on%s", problem,
                    parser->context, parser->context_mark.line + 1, more);
}

/* ---- tags ---- */

enum yaml_tag yaml_tag_of(const char *tag)
{
    static const struct {
        const char *name;
        enum yaml_tag tag;
    } known[] = {{"str", YAML_TAG_TEXT},    {"null", YAML_TAG_NULL},
                 {"bool", YAML_TAG_BOOL},   {"int", YAML_TAG_INT},
                 {"float", YAML_TAG_FLOAT}, {"seq", YAML_TAG_SEQ},
                 {"map", YAML_TAG_MAP}};
    if (strcmp(tag, "!") == 0)
        return YAML_TAG_NONE;
    if (strncmp(tag, TAG_PREFIX, sizeof TAG_PREFIX - 1) != 0)
        return YAML_TAG_OTHER;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(tag + sizeof TAG_PREFIX - 1, known[i].name) == 0)
            return known[i].tag;
    return YAML_TAG_OTHER;
}

bool yaml_tag_fits(enum yaml_tag tag, enum conf_kind kind)
{
    switch (tag) {
    case YAML_TAG_NULL:
        return kind == CONF_NULL;
    case YAML_TAG_BOOL:
        return kind == CONF_BOOL;
    case YAML_TAG_INT:
        return kind == CONF_INT;
    case YAML_TAG_FLOAT:
        return kind == CONF_FLOAT || kind == CONF_INT;
    case YAML_TAG_SEQ:
        return kind == CONF_SEQ;
    case YAML_TAG_MAP:
        return kind == CONF_MAP;
    case YAML_TAG_NONE:
        return kind == CONF_SEQ || kind == CONF_MAP;
    case YAML_TAG_TEXT:
    case YAML_TAG_OTHER:
        break;
    }
    return false;
}

const char *yaml_tag_show(const char *tag, char shown[YAML_TAG_SHOWN_MAX])
{
    bool core = strncmp(tag, TAG_PREFIX, sizeof TAG_PREFIX - 1) == 0;
    const char *name = core ? tag + sizeof TAG_PREFIX - 1 : tag;
    (void)snprintf(shown, YAML_TAG_SHOWN_MAX, "%s%s", core ? "!!" : "", name);
    return shown;
}
