#include "submit/directives.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "args/parse.h"
#include "base/xmem.h"

static const char mark[] = "#HQ ";

void word_list_release(struct word_list *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->items[i]);
    free(w->items);
    *w = (struct word_list){0};
}

static void add_word(struct word_list *w, struct buf *word)
{
    w->items = xrealloc(w->items, (w->n + 1) * sizeof *w->items);
    w->items[w->n++] = xstrdup(buf_cstr(word));
    buf_clear(word);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/*
 * Programs that write scripts escape paths for a shell and then put quotes around them;
 * inside quotes a backslash in front of one of these is therefore dropped.
 */
static bool is_escape(const char *p, const char *end)
{
    return *p == '\\' && p + 1 < end && p[1] &&
           strchr(" \t\"'\\()[]{}<>&|;:!?*$`#~", p[1]);
}

/* "…" from *p on; false when it is not closed. */
static bool take_quoted(const char **p, const char *end, struct buf *word)
{
    for ((*p)++; *p < end; (*p)++) {
        if (**p == '"') {
            (*p)++;
            return true;
        }
        if (is_escape(*p, end))
            (*p)++;
        buf_putc(word, **p);
    }
    return false;
}

static bool take_word(const char **p, const char *end, struct buf *word)
{
    while (*p < end && !is_blank(**p) && **p != '"') {
        if (**p == '\\' && *p + 1 < end && ((*p)[1] == ' ' || (*p)[1] == '"'))
            (*p)++;
        buf_putc(word, *(*p)++);
    }
    if (*p < end && **p == '"' && !take_quoted(p, end, word))
        return false;
    return *p == end || is_blank(**p);
}

/* ERR_PARSE with what is wrong with the quotes. */
static int split_words(const char *text, size_t n, struct word_list *words,
                       struct error *err)
{
    const char *p = text, *end = text + n;
    struct buf word = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = 0;
    while (rc == 0) {
        while (p < end && is_blank(*p))
            p++;
        if (p == end)
            break;
        const char *start = p;
        if (take_word(&p, end, &word))
            add_word(words, &word);
        else
            rc = error_set(err, ERR_PARSE, "Parse error\nwrong quotes in: %.*s",
                           (int)(end - start), start);
    }
    buf_release(&word);
    return rc;
}

/* One line without its end. *go_on is cleared at the end of the leading comments. */
static int scan_line(const char *line, size_t n, bool first, struct directives *d,
                     bool *go_on, struct error *err)
{
    if (first && n >= 2 && memcmp(line, "#!", 2) == 0)
        return split_words(line + 2, n - 2, &d->interpreter, err);
    while (n && is_blank(*line)) {
        line++;
        n--;
    }
    if (n && *line != '#')
        *go_on = false;
    size_t len = strlen(mark);
    if (n < len || memcmp(line, mark, len))
        return 0;
    return split_words(line + len, n - len, &d->words, err);
}

static int scan(const char *data, size_t n, struct directives *d, struct error *err)
{
    bool go_on = true;
    for (size_t at = 0; at < n && go_on;) {
        const char *end = memchr(data + at, '\n', n - at);
        size_t len = end ? (size_t)(end - data) - at : n - at;
        int rc = scan_line(data + at, len, at == 0, d, &go_on, err);
        if (rc)
            return rc;
        at += len + 1;
    }
    return 0;
}

static int parse_options(const struct cmd *submit, struct directives *d,
                         struct error *err)
{
    struct cmd cmd = *submit;
    const struct parse_mode mode = {
        .path = "#HQ", .exclude = OPT_NO_DIRECTIVE, .bare = true};
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = 0;
    cmd.positionals = NULL;
    if (parse_words(&cmd, &mode, d->words.n, (const char *const *)d->words.items,
                    &d->args, &text) != PARSE_OK) {
        while (text.len && text.data[text.len - 1] == '\n')
            text.data[--text.len] = '\0';
        rc = error_set(err, ERR_INVALID,
                       "You have used invalid parameter(s) after a #HQ directive.\n%s",
                       buf_cstr(&text));
    }
    buf_release(&text);
    return rc;
}

int directives_parse(const struct cmd *submit, const char *name, const void *data,
                     size_t n, struct directives *d, struct error *err)
{
    *d = (struct directives){0};
    int rc = scan(data, MIN(n, DIRECTIVES_BYTES_MAX), d, err);
    if (rc == 0)
        rc = parse_options(submit, d, err);
    if (rc) {
        error_prefix(err, "Could not parse directives from %s: ", name);
        directives_release(d);
    }
    return rc;
}

int directives_read(const struct cmd *submit, const char *path, struct directives *d,
                    struct error *err)
{
    *d = (struct directives){0};
    char *head = xmalloc(DIRECTIVES_BYTES_MAX);
    size_t n = 0;
    int rc = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && n < DIRECTIVES_BYTES_MAX) {
        ssize_t got = read(fd, head + n, DIRECTIVES_BYTES_MAX - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = error_sys(err, "Could not parse directives from %s", path);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    if (fd < 0)
        rc = error_sys(err, "Could not parse directives from %s", path);
    else
        close(fd);
    if (rc == 0)
        rc = directives_parse(submit, path, head, n, d, err);
    free(head);
    return rc;
}

void directives_release(struct directives *d)
{
    args_destroy(d->args);
    word_list_release(&d->words);
    word_list_release(&d->interpreter);
    *d = (struct directives){0};
}
