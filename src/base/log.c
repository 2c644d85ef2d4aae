#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/path.h"

static atomic_int current_level = LOG_INFO;
static atomic_bool long_format;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

void log_set_long_format(bool on)
{
    atomic_store_explicit(&long_format, on, memory_order_relaxed);
}

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG", "TRACE"};
    return names[level];
}

/* "src/server/loop.c" -> "server"; a file without a folder gives its own name. */
static void put_module(struct buf *line, const char *file)
{
    const char *end = strrchr(file, '/');
    const char *start = file;
    if (!end) {
        buf_puts(line, file);
        return;
    }
    for (const char *p = file; p < end; p++)
        if (*p == '/')
            start = p + 1;
    buf_append(line, start, (size_t)(end - start));
}

void log_write(enum log_level level, const char *file, const char *fmt, ...)
{
    if (level > log_get_level())
        return;
    int sys = errno;
    struct buf line = BUF_INIT(BUF_MAX_DEFAULT);
    if (atomic_load_explicit(&long_format, memory_order_relaxed)) {
        buf_putc(&line, '[');
        time_print_log(clock_real_us(), true, &line);
        buf_printf(&line, " %s ", level_name(level));
        put_module(&line, file);
        buf_puts(&line, "] ");
    } else {
        time_print_log(clock_real_us(), false, &line);
        buf_printf(&line, " %s ", level_name(level));
    }
    va_list args;
    va_start(args, fmt);
    buf_vprintf(&line, fmt, args);
    va_end(args);
    buf_putc(&line, '\n');
    /* Nowhere to report a failure of the log itself. */
    if (line.failed)
        (void)!write(STDERR_FILENO, "log line lost: out of memory\n", 29);
    else if (write_all(STDERR_FILENO, line.data, line.len) != 0)
        errno = sys;
    buf_release(&line);
    errno = sys;
}
