/*
 * Errors: a stable number and a text for people.
 *
 * A function that can fail returns 0 or a negative enum error_code and fills the
 * caller's struct error at the place where the fact is known; outer frames only put
 * context in front (error_prefix) or a cause behind (error_cause). One place prints.
 * A failed call changes nothing else the caller can see.
 *
 * Texts: lower case, no full stop, cause first, the subject in quotes, then a hint;
 * texts that the command-line contract fixes are exempt.
 */
#ifndef HQ_BASE_ERROR_H
#define HQ_BASE_ERROR_H

#include <stdarg.h>

/* Numbers are stable: they are part of the protocol between hq programs. */
enum error_code {
    ERR_OK = 0,
    ERR_NOMEM = -1,       /* out of memory */
    ERR_SYSTEM = -2,      /* a system call failed; the text holds strerror */
    ERR_PARSE = -3,       /* text that a person wrote is malformed */
    ERR_INVALID = -4,     /* well-formed, but not allowed here */
    ERR_NOT_FOUND = -5,   /* the named thing does not exist */
    ERR_EXISTS = -6,      /* the named thing exists already */
    ERR_CORRUPT = -7,     /* bytes on disk or wire that nobody of ours wrote */
    ERR_VERSION = -8,     /* made by another version */
    ERR_AUTH = -9,        /* wrong key or wrong role */
    ERR_CLOSED = -10,     /* the peer closed the connection */
    ERR_TIMEOUT = -11,    /* a deadline passed */
    ERR_TOO_BIG = -12,    /* above a named maximum */
    ERR_BUSY = -13,       /* locked or in use by somebody else */
    ERR_UNSUPPORTED = -14 /* this build or machine cannot do it */
};

#define ERROR_TEXT_MAX 2048

struct error {
    int code; /* enum error_code */
    int sys;  /* errno where ERR_SYSTEM, else 0 */
    char text[ERROR_TEXT_MAX];
};

#define ERROR_INIT \
    {              \
        0, 0,      \
        {          \
            0      \
        }          \
    }

/* Fills *err (may be NULL) and returns code. Longer texts are cut at a character. */
int error_set(struct error *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int error_vset(struct error *err, int code, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
/* ERR_SYSTEM with ": <strerror(errno)> (os error <errno>)" behind the text (without the
 * colon when that is empty); keeps errno in err->sys. */
int error_sys(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* As error_sys for a given errno value. */
int error_errno(struct error *err, int sys, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts context in front of the text already there; returns err->code. */
int error_prefix(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/*
 * Turns the text already there into the cause of a new headline:
 * "<headline>\n\nCaused by:\n    <old text>". Repeated use numbers the causes as
 * "    0: …", "    1: …". Returns err->code.
 */
int error_cause(struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
int error_nomem(struct error *err);

#endif
