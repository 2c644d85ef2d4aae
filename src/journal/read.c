#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "journal/scan.h"

static int read_events(struct journal_scan *s, uint64_t at, struct span payload,
                       journal_event_fn *fn, void *arg, struct error *err)
{
    struct cursor c = cursor_make(payload.p, payload.n);
    while (c.p != c.end) {
        struct span event = cursor_bytes(&c);
        if (c.failed)
            return error_set(err, ERR_CORRUPT,
                             "It appears that the journal file is corrupted: malformed "
                             "record at offset %llu of \"%s\"",
                             (unsigned long long)at, s->path);
        int rc = fn ? fn(arg, event, err) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_records(struct journal_scan *s, journal_event_fn *fn,
                        journal_damage_fn *damage, void *arg, struct error *err)
{
    for (;;) {
        struct span payload;
        uint64_t at = s->next;
        int rc = journal_scan_next(s, &payload, err);
        if (rc == ERR_CORRUPT && damage && damage(arg, err)) {
            journal_scan_skip(s);
            continue;
        }
        if (rc <= 0)
            return rc;
        rc = read_events(s, at, payload, fn, arg, err);
        if (rc != 0)
            return rc;
    }
}

int journal_read(const char *path, struct journal_header *header, journal_event_fn *fn,
                 journal_damage_fn *damage, void *arg, uint64_t *torn,
                 struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        bool missing = errno == ENOENT;
        int rc = error_sys(err, "%s", "");
        if (missing && err)
            err->code = ERR_NOT_FOUND;
        return missing ? ERR_NOT_FOUND : rc;
    }
    struct journal_scan s;
    int rc = journal_scan_open(&s, path, fd, err);
    if (rc == 0 && header)
        *header = s.header.pub;
    if (rc == 0)
        rc = read_records(&s, fn, damage, arg, err);
    if (rc == 0 && torn)
        *torn = s.size > s.next ? s.size - s.next : 0;
    journal_scan_release(&s);
    (void)close(fd);
    return rc;
}
