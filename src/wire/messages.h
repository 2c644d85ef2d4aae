/* Typed messages from wire/messages.def: structs, encoding, checked decoding, printing.
 */
#ifndef HQ_WIRE_MESSAGES_H
#define HQ_WIRE_MESSAGES_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"

enum message_type {
#define MESSAGE(name, number, fields) MSG_##name = number,
#include "wire/messages.def"
#undef MESSAGE
    MSG_TYPE_LIMIT = 128
};

#define MSG_CTYPE_u8 uint8_t
#define MSG_CTYPE_u32 uint32_t
#define MSG_CTYPE_u64 uint64_t
#define MSG_CTYPE_i64 int64_t
#define MSG_CTYPE_flag bool
#define MSG_CTYPE_text struct span
#define MSG_CTYPE_blob struct span

/* struct msg_WORKER_REGISTER and so on. Spans borrow: from the caller when encoding,
 * from the frame when decoding. */
#define FIELD(type, name) MSG_CTYPE_##type name;
#define MESSAGE(name, number, fields) \
    struct msg_##name {               \
        fields char unused_[0];       \
    };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "wire/messages.def"
#pragma GCC diagnostic pop
#undef MESSAGE
#undef FIELD

/* Appends one whole message (type, length, fields) to a batch. */
#define MESSAGE(name, number, fields) \
    void msg_put_##name(struct buf *batch, const struct msg_##name *m);
#include "wire/messages.def"
#undef MESSAGE
/* Decodes the fields of a message of that type. */
#define MESSAGE(name, number, fields)                                             \
    int msg_get_##name(struct span body, struct msg_##name *m, struct error *err) \
        MUST_CHECK;
#include "wire/messages.def"
#undef MESSAGE

/*
 * A case of a switch over the type of a message: decodes `body` into `m` and does what
 * follows. `rc` and `err` of the function around it take what the decoder says.
 */
#define MESSAGE_ON(name, ...)                \
    case MSG_##name: {                       \
        struct msg_##name m;                 \
        rc = msg_get_##name(body, &m, &err); \
        if (rc == 0) {                       \
            __VA_ARGS__;                     \
        }                                    \
        break;                               \
    }

/* Next message of a batch: type and body. 0, or ERR_CLOSED at the end, or ERR_CORRUPT.
 */
int msg_next(struct cursor *batch, uint8_t *type, struct span *body) MUST_CHECK;
const char *msg_name(uint8_t type); /* "TASKS_ENDED", or "unknown" */
/* "TASKS_ACK seq=5" for logs and dumps; blobs as their length. */
void msg_print(uint8_t type, struct span body, struct buf *out);

/* A malloc'ed, NUL-terminated copy; NULL when out of memory. */
char *span_dup(struct span s);
bool span_equal(struct span s, const char *text);

#endif
