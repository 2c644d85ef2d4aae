#include "args/notices.h"

#include <stdlib.h>
#include "base/xmem.h"

void notices_init(struct notices *n, const struct output *out)
{
    *n = (struct notices){.out = out};
}

void notices_release(struct notices *n)
{
    for (size_t i = 0; i < n->n; i++)
        free(n->items[i].text);
    free(n->items);
    *n = (struct notices){.out = n->out};
}

static void add(struct notices *n, enum log_level level, char *text)
{
    if (n->out->mode == OUTPUT_CLI) {
        log_write(level, __FILE__, "%s", text);
        free(text);
        return;
    }
    n->items = xrealloc(n->items, (n->n + 1) * sizeof *n->items);
    n->items[n->n++] = (struct notice){level, text};
}

static char *format(const char *fmt, va_list args)
    __attribute__((format(printf, 1, 0)));
static char *format(const char *fmt, va_list args)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    buf_vprintf(&b, fmt, args);
    char *text = buf_steal(&b);
    return text ? text : xstrdup("");
}

void notice_info(struct notices *n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(n, LOG_INFO, format(fmt, args));
    va_end(args);
}

void notice_warn(struct notices *n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(n, LOG_WARN, format(fmt, args));
    va_end(args);
}

void notices_log(struct notices *n)
{
    for (size_t i = 0; i < n->n; i++)
        log_write(n->items[i].level, __FILE__, "%s", n->items[i].text);
    notices_release(n);
}

void notices_json(const struct notices *n, struct json *j)
{
    bool any = false;
    for (size_t i = 0; i < n->n; i++) {
        if (n->items[i].level != LOG_WARN)
            continue;
        if (!any) {
            json_key(j, "warnings");
            json_begin_array(j);
        }
        any = true;
        json_str(j, n->items[i].text);
    }
    if (any)
        json_end_array(j);
}
