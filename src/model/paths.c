#include "model/paths.h"

#include <stdlib.h>
#include "base/path.h"
#include "base/text.h"

struct placeholder {
    const char *begin; /* at the '%' */
    const char *name;
    size_t name_len;
    const char *end; /* behind the '}' */
};

/* The next %{name} at or behind p. */
static bool next_placeholder(const char *p, struct placeholder *ph)
{
    while ((p = strstr(p, "%{")) != NULL) {
        const char *close = strchr(p + 2, '}');
        if (!close)
            return false;
        /* "%{%{A}": the inner one counts. */
        const char *inner = strstr(p + 2, "%{");
        if (inner && inner < close) {
            p = inner;
            continue;
        }
        *ph = (struct placeholder){p, p + 2, (size_t)(close - p - 2), close + 1};
        return true;
    }
    return false;
}

static bool named(const struct placeholder *ph, const char *name)
{
    return strlen(name) == ph->name_len && memcmp(name, ph->name, ph->name_len) == 0;
}

static const struct axis *find_axis(const struct path_context *ctx,
                                    const struct placeholder *ph, size_t *index)
{
    for (size_t a = 0; ctx->axes && a < ctx->axes->n_axes; a++)
        if (named(ph, ctx->axes->axes[a].name)) {
            *index = a;
            return &ctx->axes->axes[a];
        }
    return NULL;
}

/* Appends the value; false when the context does not know it. */
static bool put_value(const struct placeholder *ph, const struct path_context *ctx,
                      const char *cwd, bool quote, struct buf *out)
{
    size_t a = 0;
    const struct axis *axis;
    if (named(ph, "JOB_ID")) {
        buf_printf(out, "%u", ctx->job);
    } else if (named(ph, "SUBMIT_DIR")) {
        buf_puts(out, ctx->submit_dir);
    } else if (named(ph, "SERVER_UID")) {
        buf_puts(out, ctx->server_uid);
    } else if (named(ph, "CWD") && cwd) {
        buf_puts(out, cwd);
    } else if (named(ph, "TASK_ID") && ctx->task) {
        buf_printf(out, "%u", ctx->task_id);
    } else if (named(ph, "INSTANCE_ID") && ctx->task) {
        buf_printf(out, "%u", ctx->instance);
    } else if ((axis = find_axis(ctx, ph, &a)) != NULL) {
        char number[AXIS_NUMBER_SIZE];
        const char *value =
            axis_value(axis, axis_value_index(ctx->axes, a, ctx->axis_index), number);
        if (quote)
            text_shell_quote(out, value, strlen(value));
        else
            buf_puts(out, value);
    } else {
        return false;
    }
    return true;
}

void placeholders_expand(const char *text, const struct path_context *ctx,
                         const char *cwd, bool quote, struct buf *out)
{
    struct placeholder ph;
    while (next_placeholder(text, &ph)) {
        buf_append(out, text, (size_t)(ph.begin - text));
        if (!put_value(&ph, ctx, cwd, quote, out))
            buf_append(out, ph.begin, (size_t)(ph.end - ph.begin));
        text = ph.end;
    }
    buf_puts(out, text);
}

size_t placeholders_unknown(const char *text, const char *const *known, struct buf *out)
{
    struct placeholder ph;
    const char *start = text;
    size_t n = 0;
    for (; next_placeholder(text, &ph); text = ph.end) {
        bool skip = false;
        for (size_t i = 0; known[i]; i++)
            skip |= named(&ph, known[i]);
        struct placeholder earlier;
        for (const char *p = start;
             !skip && next_placeholder(p, &earlier) && earlier.begin < ph.begin;
             p = earlier.end)
            skip = earlier.name_len == ph.name_len &&
                   memcmp(earlier.name, ph.name, ph.name_len) == 0;
        if (skip)
            continue;
        if (n++)
            buf_puts(out, ", ");
        buf_append(out, ph.name, ph.name_len);
    }
    return n;
}

bool placeholders_contain(const char *text, const char *name)
{
    struct placeholder ph;
    for (; next_placeholder(text, &ph); text = ph.end)
        if (named(&ph, name))
            return true;
    return false;
}

/* A placeholder that a later step will replace. */
static bool has_open_placeholder(const char *text, const struct path_context *ctx,
                                 const char *cwd)
{
    return !ctx->task && (placeholders_contain(text, "TASK_ID") ||
                          placeholders_contain(text, "INSTANCE_ID") ||
                          (cwd && placeholders_contain(text, "CWD")));
}

static char *expand(const char *text, const struct path_context *ctx, const char *cwd)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    placeholders_expand(text, ctx, cwd, false, &b);
    return buf_steal(&b);
}

/* Expands and, unless a placeholder is left for later, prefixes relative paths. */
static char *resolve(const char *text, const struct path_context *ctx, const char *cwd,
                     const char *prefix)
{
    char *p = expand(text, ctx, cwd);
    if (!p || p[0] == '/' || has_open_placeholder(p, ctx, cwd))
        return p;
    char *joined = path_join(prefix, p);
    free(p);
    return joined;
}

enum stdio_kind stdio_effective(const struct task_body *body,
                                const struct stdio_spec *s)
{
    if (s->kind != STDIO_DEFAULT)
        return (enum stdio_kind)s->kind;
    /* A mode alone (":rm-if-finished") asks for the default file. */
    return body->stream_kind != STREAM_NONE && !s->rm_if_finished ? STDIO_STREAM
                                                                  : STDIO_FILE;
}

static int resolve_channel(const struct task_body *body, const struct stdio_spec *s,
                           const char *default_path, const struct path_context *ctx,
                           const char *cwd, char **out)
{
    *out = NULL;
    if (stdio_effective(body, s) != STDIO_FILE)
        return 0;
    *out = resolve(s->path ? s->path : default_path, ctx, cwd, cwd);
    return *out ? 0 : ERR_NOMEM;
}

int task_paths_resolve(const struct task_body *body, const struct path_context *ctx,
                       struct task_paths *paths)
{
    *paths = (struct task_paths){0};
    paths->cwd =
        resolve(body->cwd ? body->cwd : "%{SUBMIT_DIR}", ctx, NULL, ctx->submit_dir);
    /* A directory that is not complete is still to be filled in: were it part of the
     * path now, the path would be relative, and it would be put in front once more. */
    const char *cwd = paths->cwd && paths->cwd[0] != '/' ? "%{CWD}" : paths->cwd;
    if (!paths->cwd ||
        resolve_channel(body, &body->out, STDOUT_DEFAULT_PATH, ctx, cwd, &paths->out) !=
            0 ||
        resolve_channel(body, &body->err, STDERR_DEFAULT_PATH, ctx, cwd, &paths->err) !=
            0) {
        task_paths_release(paths);
        return ERR_NOMEM;
    }
    return 0;
}

void task_paths_release(struct task_paths *p)
{
    free(p->cwd);
    free(p->out);
    free(p->err);
    *p = (struct task_paths){0};
}

void stdio_show_path(const char *path, const char *cwd, struct buf *out)
{
    struct placeholder ph;
    for (; next_placeholder(path, &ph); path = ph.end) {
        buf_append(out, path, (size_t)(ph.begin - path));
        if (cwd && named(&ph, "CWD"))
            buf_puts(out, cwd);
        else
            buf_append(out, ph.begin, (size_t)(ph.end - ph.begin));
    }
    buf_puts(out, path);
}

char *stream_path_resolve(const char *stream, const struct path_context *ctx)
{
    struct path_context job_only = *ctx;
    job_only.task = true; /* TASK_ID has no meaning here and is never replaced */
    job_only.axes = NULL;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct placeholder ph;
    for (; next_placeholder(stream, &ph); stream = ph.end) {
        buf_append(&b, stream, (size_t)(ph.begin - stream));
        if (named(&ph, "TASK_ID") || named(&ph, "INSTANCE_ID") ||
            !put_value(&ph, &job_only, NULL, false, &b))
            buf_append(&b, ph.begin, (size_t)(ph.end - ph.begin));
    }
    buf_puts(&b, stream);
    char *p = buf_steal(&b);
    if (!p || p[0] == '/')
        return p;
    char *joined = path_join(ctx->submit_dir, p);
    free(p);
    return joined;
}
