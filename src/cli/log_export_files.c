/*
 * `hq log X export` as files: job-J/T.stdout and job-J/T.stderr, where tasks that are
 * not streamed write theirs, below a directory or in a tar archive on standard output.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/path.h"
#include "cli/log_export.h"

static void set_path(struct exporter *x, const struct export_run *run,
                     const char *suffix)
{
    buf_clear(&x->path);
    if (x->to)
        buf_printf(&x->path, "%s/", x->to);
    buf_printf(&x->path, "job-%u/%u.%s", run->job, run->task, suffix);
}

static const char *suffix_of(enum outlog_channel channel)
{
    return channel == OUTLOG_STDERR ? "stderr" : "stdout";
}

static void begin_run(struct exporter *x UNUSED, const struct export_run *run UNUSED)
{
}

static void end_run(struct exporter *x UNUSED)
{
}

/* ---- a directory -------------------------------------------------------------------
 */

static int begin_files(struct exporter *x, struct error *err)
{
    if (x->choice.all_instances)
        return error_set(err, ERR_INVALID,
                         "runs of one task would have the same name: leave out "
                         "--all-instances");
    return path_mkdirs(x->to, 0777, err);
}

static void begin_file(struct exporter *x, const struct export_run *run,
                       enum outlog_channel channel)
{
    set_path(x, run, suffix_of(channel));
    const char *path = buf_cstr(&x->path);
    if (!x->any_job_dir || x->last_job != run->job) {
        int rc = path_mkparents(path, 0777, x->err);
        if (rc < 0) {
            export_fail(x, rc);
            return;
        }
        x->any_job_dir = true;
        x->last_job = run->job;
    }
    x->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (x->fd < 0)
        export_fail(x, error_sys(x->err, "cannot create '%s'", path));
}

static void put_bytes(struct exporter *x, const struct outlog_entry *e UNUSED,
                      const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(x->fd, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0) {
            export_fail(x, error_sys(x->err, "cannot write '%s'", buf_cstr(&x->path)));
            return;
        }
        p += done;
        n -= (size_t)done;
    }
}

static void end_file(struct exporter *x)
{
    int fd = x->fd;
    x->fd = -1;
    if (close(fd) != 0)
        export_fail(x, error_sys(x->err, "cannot write '%s'", buf_cstr(&x->path)));
}

static int finish_files(struct exporter *x UNUSED, struct error *err UNUSED)
{
    return 0;
}

const struct export_ops export_files = {
    .begin = begin_files,
    .begin_run = begin_run,
    .begin_channel = begin_file,
    .put_data = put_bytes,
    .end_channel = end_file,
    .end_run = end_run,
    .finish = finish_files,
};

/* ---- a tar archive (ustar) ---------------------------------------------------------
 */

#define TAR_BLOCK 512u
static const uint8_t zeros[2 * TAR_BLOCK];

/* Octal digits with a NUL behind; a number that does not fit in base 256. */
static void put_number(uint8_t *field, size_t n, uint64_t v)
{
    if (v >> (3 * (n - 1))) {
        for (size_t i = n - 1; i > 0; i--, v >>= 8)
            field[i] = (uint8_t)v;
        field[0] = 0x80;
        return;
    }
    field[n - 1] = 0;
    for (size_t i = n - 1; i-- > 0; v >>= 3)
        field[i] = (uint8_t)('0' + (v & 7));
}

static int begin_tar(struct exporter *x UNUSED, struct error *err)
{
    if (isatty(STDOUT_FILENO))
        return error_set(err, ERR_INVALID,
                         "a tar archive is nothing for a terminal: redirect it");
    return 0;
}

static void begin_member(struct exporter *x, const struct export_run *run,
                         enum outlog_channel channel)
{
    uint8_t h[TAR_BLOCK] = {0};
    set_path(x, run, suffix_of(channel)); /* far below 100 bytes */
    memcpy(h, buf_cstr(&x->path), MIN(x->path.len, (size_t)99));
    x->size = x->left = run->bytes[channel];
    put_number(h + 100, 8, 0644);
    put_number(h + 108, 8, 0);
    put_number(h + 116, 8, 0);
    put_number(h + 124, 12, x->left);
    put_number(h + 136, 12, run->last_us / 1000000);
    memset(h + 148, ' ', 8);
    h[156] = '0';
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += h[i];
    put_number(h + 148, 7, sum);
    output_write(x->out, h, sizeof h);
}

static void put_member(struct exporter *x, const struct outlog_entry *e UNUSED,
                       const uint8_t *p, size_t n)
{
    n = (size_t)MIN((uint64_t)n, x->left);
    output_write(x->out, p, n);
    x->left -= n;
}

/* Bytes that could not be read are zeros, since the size stands in front. */
static void end_member(struct exporter *x)
{
    uint64_t fill = x->left + (TAR_BLOCK - x->size % TAR_BLOCK) % TAR_BLOCK;
    while (fill > 0) {
        size_t n = (size_t)MIN(fill, (uint64_t)sizeof zeros);
        output_write(x->out, zeros, n);
        fill -= n;
    }
}

static int finish_tar(struct exporter *x, struct error *err UNUSED)
{
    output_write(x->out, zeros, sizeof zeros);
    return 0;
}

const struct export_ops export_tar = {
    .begin = begin_tar,
    .begin_run = begin_run,
    .begin_channel = begin_member,
    .put_data = put_member,
    .end_channel = end_member,
    .end_run = end_run,
    .finish = finish_tar,
};
