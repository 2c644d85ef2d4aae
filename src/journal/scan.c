#include "journal/scan.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW_BYTES ((size_t)1 << 20)

/* Fills the window with what stands at [at, at + n), and more if there is. */
static int fill_window(struct journal_scan *s, uint64_t at, size_t n, struct error *err)
{
    uint64_t left = s->size - at;
    size_t want = (size_t)MIN(left, (uint64_t)MAX(n, WINDOW_BYTES));
    buf_clear(&s->window);
    s->window_at = at;
    uint8_t *to = buf_extend(&s->window, want);
    if (!to)
        return error_nomem(err);
    size_t have = 0;
    while (have < want) {
        ssize_t got = pread(s->fd, to + have, want - have, (off_t)(at + have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return error_sys(err, "%s", "");
        if (got == 0)
            break;
        have += (size_t)got;
    }
    s->window.len = have;
    if (have < want)
        s->size = at + have; /* cut while we read: a live server dropped its tail */
    return 0;
}

/* n bytes at `at`; *p is NULL when the file ends before. */
static int bytes_at(struct journal_scan *s, uint64_t at, size_t n, const uint8_t **p,
                    struct error *err)
{
    *p = NULL;
    if (at > s->size || s->size - at < n)
        return 0;
    if (at < s->window_at || at - s->window_at > s->window.len ||
        s->window.len - (size_t)(at - s->window_at) < n) {
        int rc = fill_window(s, at, n, err);
        if (rc != 0)
            return rc;
        if (s->window.len < n)
            return 0;
    }
    *p = s->window.data + (at - s->window_at);
    return 0;
}

int journal_scan_open(struct journal_scan *s, const char *path, int fd,
                      struct error *err)
{
    struct stat st;
    *s = (struct journal_scan){.path = path, .fd = fd};
    buf_init(&s->window, JOURNAL_RECORD_MAX + JOURNAL_FRAME_SIZE + WINDOW_BYTES);
    if (fstat(fd, &st) != 0)
        return error_sys(err, "%s", "");
    if (S_ISDIR(st.st_mode))
        return error_errno(err, EISDIR, "%s", "");
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_CORRUPT, "Invalid journal format");
    s->size = (uint64_t)st.st_size;
    int rc = fill_window(s, 0, 0, err);
    if (rc == 0)
        rc = header_decode(&s->header, path, s->window.data, s->window.len, err);
    if (rc == 0)
        s->next = s->header.size;
    return rc;
}

/* A whole record at `at`: 1 with its payload; 0: none. */
static int record_at(struct journal_scan *s, uint64_t at, struct span *payload,
                     struct error *err)
{
    const uint8_t *p;
    int rc = bytes_at(s, at, JOURNAL_FRAME_SIZE, &p, err);
    if (rc != 0 || !p)
        return rc;
    uint32_t n = frame_length(s->header.file_uid, at, p);
    if (n == 0)
        return 0;
    rc = bytes_at(s, at, JOURNAL_FRAME_SIZE + (size_t)n, &p, err);
    if (rc != 0 || !p || !frame_payload_intact(s->header.file_uid, at, p, n))
        return rc;
    *payload = (struct span){p + JOURNAL_FRAME_SIZE, n};
    return 1;
}

/* Damage at s->next: the torn tail of a crash, unless a whole record stands behind. */
static int judge_damage(struct journal_scan *s, struct error *err)
{
    struct span unused;
    for (uint64_t at = s->next + 1; at < s->size; at++) {
        int rc = record_at(s, at, &unused, err);
        if (rc < 0)
            return rc;
        if (rc == 1) {
            s->resume = at;
            return error_set(
                err, ERR_CORRUPT,
                "It appears that the journal file is corrupted: the record "
                "at offset %llu of \"%s\" is damaged, whole records follow "
                "at offset %llu",
                (unsigned long long)s->next, s->path, (unsigned long long)at);
        }
    }
    return 0;
}

int journal_scan_next(struct journal_scan *s, struct span *payload, struct error *err)
{
    if (s->next >= s->size)
        return 0;
    int rc = record_at(s, s->next, payload, err);
    if (rc == 0)
        return judge_damage(s, err);
    if (rc == 1)
        s->next += JOURNAL_FRAME_SIZE + payload->n;
    return rc;
}

void journal_scan_skip(struct journal_scan *s)
{
    s->next = s->resume;
}

void journal_scan_release(struct journal_scan *s)
{
    buf_release(&s->window);
}
