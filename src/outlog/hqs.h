/*
 * Stream files of HyperQueue (*.hqs): read, never written. One file per worker:
 *
 *   file   := "hqsf0000" server_uid:string worker:u32 record*
 *   record := time_ms:i64 job:u32 task:u32 instance:u32 channel:u32 size:u64 data[size]
 *
 * Numbers are varints: below 251 one byte; 251, 252, 253 announce 2, 4, 8 bytes in
 * little-endian order. Signed ones are zigzag coded. A record of size 0 ends its
 * channel. There are no checksums: what makes no sense ends the file.
 */
#ifndef HQ_OUTLOG_HQS_H
#define HQ_OUTLOG_HQS_H

#include "outlog/format.h"

#define HQS_SUFFIX ".hqs"
#define HQS_HEADER_MAX 64u /* with the longest uid that we know */
#define HQS_RECORD_MAX 54u /* without its data */

struct hqs_header {
    char server_uid[OUTLOG_SERVER_UID_MAX + 1];
    uint32_t worker;
};

struct hqs_record {
    uint64_t time_us;
    uint32_t job, task, instance;
    enum outlog_channel channel;
    uint32_t size; /* of the data behind it; 0: end of the channel */
};

enum hqs_result { HQS_GOOD, HQS_SHORT, HQS_BAD };

/* HQS_SHORT: the input ends inside. The cursor is then of no further use. */
enum hqs_result hqs_header_decode(struct cursor *c, struct hqs_header *h);
enum hqs_result hqs_record_decode(struct cursor *c, struct hqs_record *r);

#endif
