/*
 * How calls of libhq fail. Since 0.30.
 *
 * A function that can fail returns 0 or a negative enum hq_code, and fills the caller's
 * struct hq_error unless that is NULL. A failed call changes nothing else that the
 * caller can see, except that the server may have done what was asked when the
 * connection was lost before its answer came (HQ_ERR_CLOSED, HQ_ERR_TIMEOUT).
 *
 * The library writes nothing to standard output or standard error, never ends the
 * process when input, server or machine are at fault, installs no signal handlers, and
 * sets no global state. Calls interrupted by a signal go on; a connection that the
 * other side closed raises no SIGPIPE.
 */
#ifndef HQ_ERROR_H
#define HQ_ERROR_H

#include <hq/api.h>

HQ_BEGIN_DECLS

/* Numbers never change. */
enum hq_code {
    HQ_OK = 0,
    HQ_ERR_NOMEM = -1,       /* out of memory */
    HQ_ERR_SYSTEM = -2,      /* a system call failed: hq_error.sys */
    HQ_ERR_PARSE = -3,       /* malformed text */
    HQ_ERR_INVALID = -4,     /* well-formed, but not allowed here */
    HQ_ERR_NOT_FOUND = -5,   /* no such server, job or log */
    HQ_ERR_EXISTS = -6,      /* it exists already */
    HQ_ERR_CORRUPT = -7,     /* bytes on disk or wire that nobody of ours wrote, or that
                              * did not go into memory */
    HQ_ERR_VERSION = -8,     /* made by another version */
    HQ_ERR_AUTH = -9,        /* wrong key */
    HQ_ERR_CLOSED = -10,     /* the server closed the connection */
    HQ_ERR_TIMEOUT = -11,    /* a time limit passed */
    HQ_ERR_TOO_BIG = -12,    /* above a named maximum */
    HQ_ERR_BUSY = -13,       /* in use, by the caller itself for instance */
    HQ_ERR_UNSUPPORTED = -14 /* this build or machine cannot do it */
};

#define HQ_ERROR_TEXT_MAX 2048

struct hq_error {
    int code;                     /* enum hq_code */
    int sys;                      /* errno when code is HQ_ERR_SYSTEM, else 0 */
    char text[HQ_ERROR_TEXT_MAX]; /* for people: UTF-8, NUL-ended, may have lines */
};

/* Version of the library, "0.30.0". Valid for ever. */
HQ_API const char *hq_version(void);

HQ_END_DECLS

#endif
