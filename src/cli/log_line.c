#include "cli/log_line.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/path.h"

/* ---- the file -----------------------------------------------------------------------
 */

struct piece {
    uint64_t offset, n;
};

static int spill_open(struct log_spill *s, struct error *err)
{
    const char *dir = path_temporary_dir();
    s->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd >= 0)
        return 0;
    /* Not every file system has files without a name. */
    struct buf path = BUF_INIT(PATH_MAX);
    buf_printf(&path, "%s/hq-line-XXXXXX", dir);
    s->fd = path.failed ? -1 : mkostemp((char *)path.data, O_CLOEXEC);
    int sys = path.failed ? ENAMETOOLONG : errno;
    if (s->fd >= 0)
        (void)unlink(buf_cstr(&path));
    buf_release(&path);
    return s->fd >= 0 ? 0
                      : error_errno(err, sys, "cannot keep a long line in '%s'", dir);
}

static int spill_write(struct log_spill *s, const uint8_t *p, size_t n,
                       struct error *err)
{
    int rc = s->fd < 0 ? spill_open(s, err) : 0;
    while (rc == 0 && n > 0) {
        ssize_t put = pwrite(s->fd, p, n, (off_t)s->end);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return error_errno(err, put < 0 ? errno : ENOSPC,
                               "cannot keep a long line in '%s'", path_temporary_dir());
        s->end += (uint64_t)put;
        p += put;
        n -= (size_t)put;
    }
    return rc;
}

static int spill_read(const struct log_spill *s, uint64_t offset, uint8_t *p, size_t n,
                      struct error *err)
{
    while (n > 0) {
        ssize_t got = pread(s->fd, p, n, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return error_errno(err, got < 0 ? errno : EIO, "cannot read a long line");
        offset += (uint64_t)got;
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

void log_spill_release(struct log_spill *s)
{
    if (s->fd >= 0)
        (void)close(s->fd);
    *s = (struct log_spill)LOG_SPILL_INIT;
}

/* ---- lines --------------------------------------------------------------------------
 */

void log_line_init(struct log_line *l)
{
    *l = (struct log_line){0};
    buf_init(&l->text, BUF_MAX_DEFAULT);
    buf_init(&l->pieces, BUF_MAX_DEFAULT);
}

void log_line_release(struct log_line *l)
{
    buf_release(&l->text);
    buf_release(&l->pieces);
}

/* Moves the first n bytes of the text out of memory. */
static int move_out(struct log_line *l, struct log_spill *s, size_t n,
                    struct error *err)
{
    if (s) {
        struct piece piece = {s->end, n};
        int rc = spill_write(s, l->text.data, n, err);
        if (rc < 0)
            return rc;
        s->n_lines += l->pieces.len == 0;
        buf_append(&l->pieces, &piece, sizeof piece);
        if (l->pieces.failed)
            return error_nomem(err);
    }
    l->n_before += n;
    buf_consume(&l->text, n);
    return 0;
}

int log_line_add(struct log_line *l, const struct log_match *m, struct log_spill *s,
                 size_t max, const uint8_t *p, size_t n, struct error *err)
{
    buf_append(&l->text, p, n);
    if (l->text.failed)
        return error_nomem(err);
    if (l->text.len <= max)
        return 0;
    if (m && !l->found)
        l->found =
            log_match_piece(m, l->text.data, l->text.len, l->n_before == 0, false);
    return move_out(l, s, l->text.len - MIN(l->text.len, log_match_overlap(m)), err);
}

bool log_line_matches(const struct log_line *l, const struct log_match *m)
{
    if (!m)
        return true;
    bool found = l->found ||
                 log_match_piece(m, l->text.data, l->text.len, l->n_before == 0, true);
    return found != m->invert;
}

/* Without the beginning of a character at the end. */
static size_t whole_characters(const uint8_t *p, size_t n)
{
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        uint8_t c = p[n - back];
        if (c < 0x80)
            return n;
        if (c >= 0xc0) {
            size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
            return length > back ? n - back : n;
        }
    }
    return n; /* bytes that are no UTF-8 */
}

#define PRINT_BYTES ((size_t)1 << 18)

/* What is in b, up to a character that is still to be completed. */
static void print_whole(struct buf *b, struct output *out)
{
    size_t n = whole_characters(b->data, b->len);
    output_lossy(out, b->data, n);
    buf_consume(b, n);
}

static int print_piece(const struct piece *piece, const struct log_spill *s,
                       struct buf *b, struct output *out, struct error *err)
{
    int rc = 0;
    for (uint64_t at = 0, n; at < piece->n && rc == 0; at += n) {
        n = MIN(piece->n - at, (uint64_t)PRINT_BYTES);
        uint8_t *to = buf_extend(b, (size_t)n);
        rc = to ? spill_read(s, piece->offset + at, to, (size_t)n, err)
                : error_nomem(err);
        if (rc == 0)
            print_whole(b, out);
    }
    return rc;
}

int log_line_print(const struct log_line *l, const struct log_spill *s,
                   struct output *out, struct error *err)
{
    struct buf b = BUF_INIT(2 * PRINT_BYTES);
    int rc = 0;
    for (size_t at = 0; at < l->pieces.len && rc == 0; at += sizeof(struct piece)) {
        struct piece piece;
        memcpy(&piece, l->pieces.data + at, sizeof piece);
        rc = print_piece(&piece, s, &b, out, err);
    }
    for (size_t at = 0, n; at < l->text.len && rc == 0; at += n) {
        n = MIN(l->text.len - at, PRINT_BYTES);
        buf_append(&b, l->text.data + at, n);
        if (b.failed)
            rc = error_nomem(err);
        else
            print_whole(&b, out);
    }
    if (rc == 0) {
        output_lossy(out, b.data, b.len);
        output_puts(out, "\n");
    }
    buf_release(&b);
    return rc;
}

void log_line_clear(struct log_line *l, struct log_spill *s)
{
    if (s && l->pieces.len && --s->n_lines == 0)
        s->end = 0; /* nothing in it is needed any more */
    buf_clear(&l->text);
    buf_clear(&l->pieces);
    l->n_before = 0;
    l->found = false;
}
