#include "journal/pull.h"

#include "journal/format.h"

void journal_pull_init(struct journal_pull *p)
{
    *p = (struct journal_pull){.offset = 0};
    buf_init(&p->bytes, 2 * (JOURNAL_RECORD_MAX + JOURNAL_FRAME_SIZE));
}

void journal_pull_release(struct journal_pull *p)
{
    buf_release(&p->bytes);
}

static size_t left(const struct journal_pull *p)
{
    return p->bytes.len - p->first;
}

int journal_pull_add(struct journal_pull *p, uint64_t offset, struct span bytes,
                     struct error *err)
{
    if (offset != p->offset + left(p)) {
        if (left(p) || !p->begun)
            return error_set(err, ERR_CORRUPT,
                             "bytes of the journal at offset %llu are missing",
                             (unsigned long long)(p->offset + left(p)));
        p->offset = offset;
    }
    buf_consume(&p->bytes, p->first);
    p->first = 0;
    buf_append(&p->bytes, bytes.p, bytes.n);
    return p->bytes.failed ? error_nomem(err) : 0;
}

static void take(struct journal_pull *p, size_t n)
{
    p->first += n;
    p->offset += n;
}

static int begin(struct journal_pull *p, struct error *err)
{
    struct file_header h;
    int rc = header_decode(&h, "the server's journal", p->bytes.data + p->first,
                           left(p), err);
    if (rc == ERR_NOT_FOUND)
        return 0; /* not all of it is here */
    if (rc != 0)
        return rc;
    if (left(p) < h.size)
        return 0;
    p->begun = true;
    p->file_uid = h.file_uid;
    take(p, h.size);
    return 1;
}

static int corrupt(const struct journal_pull *p, struct error *err)
{
    return error_set(err, ERR_CORRUPT,
                     "It appears that the journal file is corrupted: the record at "
                     "offset %llu is damaged",
                     (unsigned long long)p->offset);
}

int journal_pull_next(struct journal_pull *p, struct span *payload, struct error *err)
{
    int rc = p->begun ? 1 : begin(p, err);
    if (rc <= 0)
        return rc;
    if (left(p) < JOURNAL_FRAME_SIZE)
        return 0;
    const uint8_t *frame = p->bytes.data + p->first;
    uint32_t n = frame_length(p->file_uid, p->offset, frame);
    if (n == 0)
        return corrupt(p, err);
    if (left(p) - JOURNAL_FRAME_SIZE < n)
        return 0;
    if (!frame_payload_intact(p->file_uid, p->offset, frame, n))
        return corrupt(p, err);
    *payload = (struct span){frame + JOURNAL_FRAME_SIZE, n};
    take(p, JOURNAL_FRAME_SIZE + (size_t)n);
    return 1;
}
