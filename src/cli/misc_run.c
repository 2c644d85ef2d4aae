#include "cli/cmds.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "args/args.h"
#include "args/completion.h"
#include "args/docgen.h"
#include "base/path.h"
#include "base/xmem.h"

#define DOC_ROOT "https://c-hyperqueue.github.io/" HQ_VERSION "/"

extern char **environ;

/* --- hq doc ------------------------------------------------------------- */

static const struct {
    const char *topic;
    const char *page;
} pages[] = {{"job", "jobs/jobs"},
             {"taskarray", "jobs/arrays"},
             {"resources", "jobs/resources"},
             {"worker", "deployment/worker"},
             {"autoalloc", "deployment/allocation"},
             {"python-api", "python"},
             {"cheatsheet", "cheatsheet"},
             {"changelog", "changelog"},
             {"faq", "faq"}};

static int open_browser(char *url, struct error *err)
{
    char opener[] = "xdg-open";
    char *const words[] = {opener, url, NULL};
    pid_t pid;
    int rc = posix_spawnp(&pid, opener, NULL, NULL, words, environ);
    if (rc)
        return error_errno(err, rc, "cannot start 'xdg-open'");
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return 0;
}

int doc_run(struct run *r, struct error *err)
{
    const char *page = "";
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
        if (strcmp(args_cmd(r->args)->name, pages[i].topic) == 0)
            page = pages[i].page;
    char *url = xasprintf("%s%s", DOC_ROOT, page);
    int rc = 0;
    if (args_flag(r->args, "open"))
        rc = open_browser(url, err);
    else
        output_printf(r->out, "%s\n", url);
    output_no_value(r->out);
    free(url);
    return rc;
}

/* --- hq generate-completion --------------------------------------------- */

int generate_completion_run(struct run *r, struct error *err)
{
    const char *shell = args_str(r->args, "SHELL");
    struct buf script = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = completion_print(&cmd_root, shell, &script, err);
    if (rc == 0) {
        fprintf(stderr, "Generating completion file for %s...\n", shell);
        output_write(r->out, script.data, script.len);
    }
    output_no_value(r->out);
    buf_release(&script);
    return rc;
}

/* --- hq generate-docs --------------------------------------------------- */

static int write_page(const char *dir, const char *name, const struct buf *text,
                      struct error *err)
{
    char *path = path_join(dir, name);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;
    int rc = 0;
    if (fd < 0 || write_all(fd, text->data, text->len))
        rc = error_sys(err, "cannot write '%s'", path ? path : name);
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

/* The date of SOURCE_DATE_EPOCH, so that builds can be repeated, else today's. */
static void manual_date(char *date, size_t size)
{
    const char *epoch = getenv("SOURCE_DATE_EPOCH");
    time_t t = epoch ? (time_t)strtoll(epoch, NULL, 10) : time(NULL);
    struct tm tm;
    static const char *const months[] = {
        "January", "February", "March",     "April",   "May",      "June",
        "July",    "August",   "September", "October", "November", "December"};
    gmtime_r(&t, &tm);
    snprintf(date, size, "%s %d, %d", months[tm.tm_mon], tm.tm_mday, tm.tm_year + 1900);
}

static int write_man(const char *dir, const struct cmd *root, const struct cmd *cmd,
                     const char *path, const char *date, struct error *err)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    char *name = xasprintf("%s.1", path);
    for (char *p = name; *p; p++)
        if (*p == ' ')
            *p = '-';
    docgen_man(root, cmd, path, date, &text);
    int rc = write_page(dir, name, &text, err);
    free(name);
    buf_release(&text);
    return rc;
}

static int write_mans(const char *dir, struct error *err)
{
    char date[64];
    manual_date(date, sizeof date);
    int rc = write_man(dir, &cmd_root, &cmd_root, "hq", date, err);
    for (const struct cmd *const *sub = cmd_root.subs; rc == 0 && *sub; sub++) {
        if ((*sub)->flags & CMD_HIDDEN)
            continue;
        char *path = xasprintf("hq %s", (*sub)->name);
        rc = write_man(dir, &cmd_root, *sub, path, date, err);
        free(path);
    }
    if (rc == 0)
        rc = write_man(dir, &cmd_mpi_worker, &cmd_mpi_worker, cmd_mpi_worker.name, date,
                       err);
    return rc;
}

int generate_docs_run(struct run *r, struct error *err)
{
    const char *dir = args_str(r->args, "DIR");
    if (strcmp(args_str(r->args, "KIND"), "man") == 0)
        return write_mans(dir, err);
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    docgen_markdown((const struct cmd *const[]){&cmd_root, &cmd_mpi_worker, NULL},
                    &text);
    int rc = write_page(dir, "cli-reference.md", &text, err);
    buf_release(&text);
    return rc;
}
