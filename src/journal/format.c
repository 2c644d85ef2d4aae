#include "journal/format.h"

#include <string.h>
#include "base/checksum.h"

/* A byte above 0x7f, both kinds of line end and an end-of-file character, so that
 * text-mode transfers show. */
static const uint8_t magic[JOURNAL_MAGIC_SIZE] = {0x89, 'H',  'Q',  'J',
                                                  '\r', '\n', 0x1a, '\n'};

enum {
    AT_VERSION = 8,
    AT_SIZE = 12,
    AT_FILE_UID = 16,
    AT_CREATED = 24,
    AT_SERVER_UID = 32,
    AT_LAST_JOB = 64,
    AT_LAST_WORKER = 68,
    AT_CHECKSUM = 72
};

void header_make(struct file_header *h, const char *server_uid, uint64_t now_us)
{
    *h = (struct file_header){.pub.created_us = now_us, .size = JOURNAL_HEADER_SIZE};
    size_t n = strnlen(server_uid, JOURNAL_UID_MAX - 1);
    memcpy(h->pub.server_uid, server_uid, n);
    h->file_uid = checksum64(server_uid, n, now_us);
}

void header_encode(const struct file_header *h, uint8_t out[JOURNAL_HEADER_SIZE])
{
    memcpy(out, magic, sizeof magic);
    put_u32(out + AT_VERSION, JOURNAL_VERSION);
    put_u32(out + AT_SIZE, JOURNAL_HEADER_SIZE);
    put_u64(out + AT_FILE_UID, h->file_uid);
    put_u64(out + AT_CREATED, h->pub.created_us);
    memcpy(out + AT_SERVER_UID, h->pub.server_uid, JOURNAL_UID_MAX);
    put_u32(out + AT_LAST_JOB, h->pub.last_job);
    put_u32(out + AT_LAST_WORKER, h->pub.last_worker);
    put_u64(out + AT_CHECKSUM,
            checksum64(out, AT_CHECKSUM, checksum_seed(h->file_uid, 0)));
}

static int check_version(const char *path, uint32_t version, struct error *err)
{
    if (version > JOURNAL_VERSION)
        return error_set(err, ERR_VERSION,
                         "Cannot load newer journal file: \"%s\" was written by format "
                         "version %u, this program reads version %u",
                         path, version, JOURNAL_VERSION);
    if (version != JOURNAL_VERSION)
        return error_set(
            err, ERR_VERSION,
            "Journal version mismatch: \"%s\" was written by format version "
            "%u, this program reads version %u",
            path, version, JOURNAL_VERSION);
    return 0;
}

int header_decode(struct file_header *h, const char *path, const uint8_t *p, size_t n,
                  struct error *err)
{
    if (n && memcmp(p, magic, MIN(n, sizeof magic)) != 0)
        return error_set(err, ERR_CORRUPT, "Invalid journal format");
    if (n < AT_FILE_UID)
        return error_set(err, ERR_NOT_FOUND, "failed to fill whole buffer");
    int rc = check_version(path, get_u32(p + AT_VERSION), err);
    if (rc != 0)
        return rc;
    if (n < JOURNAL_HEADER_SIZE)
        return error_set(err, ERR_NOT_FOUND, "failed to fill whole buffer");
    *h = (struct file_header){.size = get_u32(p + AT_SIZE),
                              .file_uid = get_u64(p + AT_FILE_UID),
                              .pub.created_us = get_u64(p + AT_CREATED),
                              .pub.last_job = get_u32(p + AT_LAST_JOB),
                              .pub.last_worker = get_u32(p + AT_LAST_WORKER)};
    memcpy(h->pub.server_uid, p + AT_SERVER_UID, JOURNAL_UID_MAX);
    if (checksum64(p, AT_CHECKSUM, checksum_seed(h->file_uid, 0)) !=
            get_u64(p + AT_CHECKSUM) ||
        h->size < JOURNAL_HEADER_SIZE || h->size > JOURNAL_HEADER_SIZE_MAX ||
        h->pub.server_uid[JOURNAL_UID_MAX - 1] != '\0')
        return error_set(err, ERR_CORRUPT,
                         "It appears that the journal file is corrupted: the header of "
                         "\"%s\" is damaged",
                         path);
    return 0;
}

static uint32_t length_check(uint64_t seed, const uint8_t *length)
{
    return (uint32_t)checksum64(length, 4, seed);
}

void frame_encode(uint64_t file_uid, uint64_t offset, uint8_t *record,
                  uint32_t payload_size)
{
    uint64_t seed = checksum_seed(file_uid, offset);
    put_u32(record, payload_size);
    put_u32(record + 4, length_check(seed, record));
    put_u64(record + 8, checksum64(record + JOURNAL_FRAME_SIZE, payload_size, seed));
}

uint32_t frame_length(uint64_t file_uid, uint64_t offset, const uint8_t *frame)
{
    uint32_t n = get_u32(frame);
    if (n == 0 || n > JOURNAL_RECORD_MAX)
        return 0;
    uint64_t seed = checksum_seed(file_uid, offset);
    return length_check(seed, frame) == get_u32(frame + 4) ? n : 0;
}

bool frame_payload_intact(uint64_t file_uid, uint64_t offset, const uint8_t *record,
                          uint32_t payload_size)
{
    return checksum64(record + JOURNAL_FRAME_SIZE, payload_size,
                      checksum_seed(file_uid, offset)) == get_u64(record + 8);
}
