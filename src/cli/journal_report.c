/* hq journal report */
#include "cli/cmds.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "args/args.h"
#include "base/duration.h"
#include "base/path.h"
#include "cli/journal_file.h"
#include "history/report.h"

/* Whether the page would take the place of the journal that it is about. */
static bool same_file(const char *journal, const char *page)
{
    struct stat a, b;
    return stat(journal, &a) == 0 && stat(page, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

static int write_page(const char *path, const struct buf *page, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
    if (fd < 0)
        return error_sys(err, "%s", "");
    int rc = write_all(fd, page->data, page->len);
    if (rc != 0)
        rc = error_sys(err, "cannot write \"%s\"", path);
    if (close(fd) != 0 && rc == 0)
        rc = error_sys(err, "cannot write \"%s\"", path);
    return rc;
}

int journal_report_run(struct run *r, struct error *err)
{
    uint64_t from_us = args_duration_ns(r->args, "start-time", 0) / NS_PER_US;
    uint64_t until_us = args_duration_ns(r->args, "end-time", 0) / NS_PER_US;
    if (args_given(r->args, "end-time") && until_us <= from_us)
        return error_set(err, ERR_INVALID,
                         "--end-time must be later than --start-time");
    const char *journal = args_str(r->args, "JOURNAL");
    const char *output = args_str(r->args, "OUTPUT");
    if (same_file(journal, output))
        return error_set(err, ERR_INVALID,
                         "the page would overwrite the journal \"%s\"", journal);
    struct buf page = BUF_INIT(BUF_MAX_DEFAULT);
    struct report_view view;
    struct report *report = report_create(from_us, until_us);
    if (!report)
        return error_nomem(err);
    int rc = journal_file_tell(journal, report_take, report, err);
    if (rc == 0 || !err->text[0]) /* else what the report refused tells why */
        rc = report_view(report, &view, err);
    if (rc == 0)
        rc = report_page(&view, &page, err);
    if (rc == 0)
        rc = write_page(output, &page, err);
    report_destroy(report);
    buf_release(&page);
    return rc;
}
