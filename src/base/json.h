/*
 * struct json: a streaming JSON writer. Pretty form: two blanks of indent,
 * "key": value, "[]" and "{}" for empty containers, no newline at the end; compact
 * form: no blanks at all. Text is written as UTF-8, invalid bytes become U+FFFD. Key
 * order is the caller's (ascending by the contract). When `out_fd` is set, the buffer
 * is written there whenever it passes 64 KiB, so that any amount streams in bounded
 * memory.
 */
#ifndef HQ_BASE_JSON_H
#define HQ_BASE_JSON_H

#include "base/buf.h"

#define JSON_DEPTH_MAX 64

struct json {
    struct buf *out;
    bool pretty;
    bool failed; /* a write to out_fd failed; errno is kept in sys */
    int sys;
    int out_fd; /* -1: keep everything in the buffer */
    int depth;
    bool after_key;
    bool nonempty[JSON_DEPTH_MAX];
};

void json_init(struct json *j, struct buf *out, bool pretty, int out_fd);
void json_begin_object(struct json *j);
void json_end_object(struct json *j);
void json_begin_array(struct json *j);
void json_end_array(struct json *j);
void json_key(struct json *j, const char *key);
void json_str(struct json *j, const char *s); /* NULL writes null */
void json_strn(struct json *j, const char *s, size_t n);
void json_int(struct json *j, int64_t v);
void json_uint(struct json *j, uint64_t v);
void json_double(struct json *j,
                 double v); /* shortest form that reads back; 1.0 as "1.0" */
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
/* Text that is JSON already. */
void json_raw(struct json *j, const char *s, size_t n);
/* Writes what is left to out_fd. 0, ERR_SYSTEM (errno in j->sys) or ERR_NOMEM (the
 * buffer was refused memory or is at its ceiling). */
int json_flush(struct json *j) MUST_CHECK;

/* key + value in one call */
void json_kstr(struct json *j, const char *key, const char *s);
void json_kint(struct json *j, const char *key, int64_t v);
void json_kuint(struct json *j, const char *key, uint64_t v);
void json_kdouble(struct json *j, const char *key, double v);
void json_kbool(struct json *j, const char *key, bool v);
void json_knull(struct json *j, const char *key);

#endif
