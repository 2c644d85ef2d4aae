#include "cli/main.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "args/parse.h"
#include "base/log.h"
#include "base/path.h"
#include "base/xmem.h"

/* The log level of HQ_LOG, else of RUST_LOG: a plain level name. */
static void set_log_level(bool debug)
{
    static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
    const char *wanted = getenv("HQ_LOG");
    if (!wanted || !*wanted)
        wanted = getenv("RUST_LOG");
    enum log_level level = debug ? LOG_DEBUG : LOG_INFO;
    for (size_t i = 0; wanted && i < ARRAY_SIZE(names); i++)
        if (strcmp(wanted, names[i]) == 0)
            level = (enum log_level)i;
    if (debug && level < LOG_DEBUG)
        level = LOG_DEBUG;
    log_set_level(level);
    log_set_long_format(debug || (wanted && strstr(wanted, "debug")));
}

static _Noreturn void leave(int fd, const struct buf *text, int status)
{
    if (write_all(fd, text->data, text->len) && status == 0) {
        struct error err = ERROR_INIT;
        error_sys(&err, "cannot write to standard output");
        fprintf(stderr, "%s\n", err.text);
        status = 1;
    }
    exit(status);
}

/* A descriptor below 3 that the caller has closed would become a file or the connection
 * to the server, and what is meant for standard output would be written there. Standard
 * input is empty then, and writing fails as it does on a closed descriptor. */
static void hold_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

void cli_begin(struct run *run, const struct cmd *root, int argc, char **argv)
{
    const struct parse_mode mode = {.path = root->name};
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    struct args *args = NULL;
    hold_standard_descriptors();
    signal(SIGPIPE, SIG_DFL);
    size_t n = argc > 0 ? (size_t)argc - 1 : 0;
    const char *const *words = (const char *const *)argv + (argc > 0);
    switch (parse_words(root, &mode, n, words, &args, &text)) {
    case PARSE_HELP:
        leave(STDOUT_FILENO, &text, 0);
    case PARSE_USAGE:
        leave(STDERR_FILENO, &text, 2);
    case PARSE_OK:
        break;
    }
    buf_release(&text);
    set_log_level(args_flag(args, "debug"));
    struct output *out = xmalloc(sizeof *out);
    output_init(out, args_str(args, "output-mode"), args_str(args, "colors"));
    *run = (struct run){.args = args, .out = out};
}

int cli_end(struct run *run, int rc, struct error *err)
{
    if (rc == 0)
        rc = output_finish(run->out, err);
    if (rc)
        output_error(run->out, err);
    int status = rc ? 1 : run->status;
    output_release(run->out);
    free(run->out);
    args_destroy((struct args *)run->args);
    return status;
}
