/*
 * The journal reader. First byte of the input: 0 takes the rest as the file as it is;
 * otherwise the rest becomes the payloads of well-formed records, damaged at the place
 * that the next bytes say. Whatever is read must be a prefix of what was written, and a
 * file that can be read can be opened, appended to and read again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "journal/format.h"
#include "journal/pull.h"

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fd = -1;
static char path[64];

static void put_file(const struct buf *b)
{
    if (fd < 0) {
        fd = memfd_create("journal", MFD_CLOEXEC);
        HQ_ASSERT(fd >= 0);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    HQ_ASSERT(ftruncate(fd, 0) == 0);
    HQ_ASSERT(pwrite(fd, b->data, b->len, 0) == (ssize_t)b->len);
}

static int take_event(void *arg, struct span event, struct error *err UNUSED)
{
    buf_bytes(arg, event.p, event.n);
    return 0;
}

static int read_all(struct buf *events, uint64_t *torn)
{
    struct error err = ERROR_INIT;
    struct journal_header header;
    *torn = 0;
    buf_clear(events);
    int rc = journal_read(path, &header, take_event, NULL, events, torn, &err);
    HQ_ASSERT((rc != 0) == (err.text[0] != '\0') && rc == err.code);
    return rc;
}

/* Opens the file as a server does; every event of before must still be there. */
static void append_one(struct buf *before)
{
    static const uint8_t event[] = {3, 'e', 'n', 'd'};
    const struct journal_config config = {
        .path = path, .server_uid = "fuzz", .now_us = 1, .flush_period_ns = UINT64_MAX};
    struct error err = ERROR_INIT;
    struct journal *j;
    uint64_t torn;
    struct buf after = BUF_INIT(BUF_MAX_DEFAULT);
    HQ_ASSERT(journal_open(&config, &j, &err) == 0);
    (void)journal_append(j, event, sizeof event);
    HQ_ASSERT(journal_close(j, &err) == 0);
    HQ_ASSERT(read_all(&after, &torn) == 0 && torn == 0);
    buf_append(before, event, sizeof event);
    HQ_ASSERT(after.len == before->len &&
              memcmp(after.data, before->data, after.len) == 0);
    buf_release(&after);
}

/* Pieces of the file tell what the file tells. */
static void pull_all(const struct buf *file, size_t piece, const struct buf *events)
{
    struct error err = ERROR_INIT;
    struct journal_pull p;
    struct span payload;
    struct buf pulled = BUF_INIT(BUF_MAX_DEFAULT);
    int rc = 0;
    journal_pull_init(&p);
    for (size_t at = 0; rc == 0 && at < file->len; at += piece) {
        size_t n = MIN(piece, file->len - at);
        rc = journal_pull_add(&p, at, (struct span){file->data + at, n}, &err);
        while (rc == 0 && (rc = journal_pull_next(&p, &payload, &err)) == 1) {
            buf_append(&pulled, payload.p, payload.n);
            rc = 0;
        }
    }
    /* A torn tail may be more than the beginning of a record. */
    HQ_ASSERT(pulled.len == events->len);
    HQ_ASSERT(events->len == 0 || memcmp(pulled.data, events->data, events->len) == 0);
    journal_pull_release(&p);
    buf_release(&pulled);
}

static void put_header(struct buf *file, struct file_header *h)
{
    header_make(h, "fuzz", 1);
    uint8_t *p = buf_extend(file, JOURNAL_HEADER_SIZE);
    HQ_ASSERT(p);
    header_encode(h, p);
}

/* Records of up to 255 bytes of events that are whole by construction. */
static void build(struct buf *file, struct buf *events, struct cursor *c)
{
    struct file_header h;
    put_header(file, &h);
    while (c->p != c->end) {
        struct span text = cursor_take(c, MIN((size_t)cursor_u8(c), cursor_left(c)));
        size_t at = file->len;
        (void)buf_extend(file, JOURNAL_FRAME_SIZE);
        buf_bytes(file, text.p, text.n);
        buf_bytes(events, text.p, text.n);
        frame_encode(h.file_uid, at, file->data + at,
                     (uint32_t)(file->len - at - JOURNAL_FRAME_SIZE));
    }
}

static void damage(struct buf *file, uint8_t how, uint16_t where)
{
    size_t at = where % file->len;
    if (how & 1)
        file->data[at] ^= (uint8_t)(how | 2);
    else
        file->len = at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf file = BUF_INIT(BUF_MAX_DEFAULT), written = BUF_INIT(BUF_MAX_DEFAULT);
    struct buf events = BUF_INIT(BUF_MAX_DEFAULT);
    struct cursor c = cursor_make(data, size);
    uint64_t torn;
    if (size > INPUT_MAX)
        return 0;
    uint8_t how = cursor_u8(&c);
    uint16_t where = how ? cursor_u16(&c) : 0;
    if (c.failed)
        return 0;
    if (how) {
        build(&file, &written, &c);
        if (how != 1)
            damage(&file, how, where);
    } else {
        buf_append(&file, c.p, cursor_left(&c));
    }
    put_file(&file);
    int rc = read_all(&events, &torn);
    if (how == 1)
        HQ_ASSERT(rc == 0 && torn == 0 && events.len == written.len);
    if (how)
        HQ_ASSERT(
            events.len <= written.len &&
            (events.len == 0 || memcmp(events.data, written.data, events.len) == 0));
    if (rc == 0)
        pull_all(&file, 1 + where % 97, &events);
    if (rc == 0 || rc == ERR_NOT_FOUND)
        append_one(&events);
    buf_release(&file);
    buf_release(&written);
    buf_release(&events);
    return 0;
}
