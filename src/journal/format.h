/*
 * Bytes of a journal file: header and record frame. Specification:
 * docs/format-journal.md. Little-endian throughout.
 *
 *   header                               record
 *    0  8  magic                          0  4  length of the payload, >= 1
 *    8  4  version                        4  4  check of the length
 *   12  4  header size                    8  8  checksum of the payload
 *   16  8  file uid                      16  n  payload
 *   24  8  creation time, us
 *   32 32  server uid, NUL-padded
 *   64  4  last job of before a pruning
 *   68  4  last worker of before it
 *   72  8  checksum of bytes 0 to 71
 *
 * The length has a check of its own, so that whole records can be found behind damage
 * at the price of one hash an offset. Every checksum is seeded with file uid and
 * offset: bytes of another file or another place never pass.
 */
#ifndef HQ_JOURNAL_FORMAT_H
#define HQ_JOURNAL_FORMAT_H

#include "journal/journal.h"

#define JOURNAL_VERSION 1u
#define JOURNAL_MAGIC_SIZE 8
#define JOURNAL_HEADER_SIZE 80
#define JOURNAL_HEADER_SIZE_MAX 65536u
#define JOURNAL_FRAME_SIZE 16

struct file_header {
    struct journal_header pub;
    uint64_t file_uid;
    uint32_t size; /* where the records begin */
};

/* Made of what is unique to a file; the caller gives time and server uid. */
void header_make(struct file_header *h, const char *server_uid, uint64_t now_us);
void header_encode(const struct file_header *h, uint8_t out[JOURNAL_HEADER_SIZE]);
/*
 * Reads the n first bytes of a file. ERR_NOT_FOUND: an empty file or the beginning of a
 * header, as a crash during creation leaves it.
 */
int header_decode(struct file_header *h, const char *path, const uint8_t *p, size_t n,
                  struct error *err) MUST_CHECK;

/* Writes the frame of a record whose payload stands behind it. */
void frame_encode(uint64_t file_uid, uint64_t offset, uint8_t *record,
                  uint32_t payload_size);
/* Length of the payload of a record at `offset`; 0: no frame of ours. */
uint32_t frame_length(uint64_t file_uid, uint64_t offset, const uint8_t *frame);
/* Whether the payload behind a frame with that length is intact. */
bool frame_payload_intact(uint64_t file_uid, uint64_t offset, const uint8_t *record,
                          uint32_t payload_size);

#endif
