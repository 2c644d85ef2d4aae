#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/util.h"

#define CAUSE_MARK "\n\nCaused by:\n"
#define CAUSE_INDENT 4
#define NUMBERED_INDENT 7

/* Bytes of s that fit into n without splitting a UTF-8 character. */
static size_t cut_at_character(const char *s, size_t n)
{
    while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--;
    return n;
}

struct text_out {
    char *data;
    size_t len;
    size_t size; /* with the NUL */
};

static void out_put(struct text_out *o, const char *s, size_t n)
{
    size_t room = o->size - 1 - o->len;
    if (n > room) {
        n = cut_at_character(s, room);
        o->size = o->len + n + 1; /* nothing may follow a cut */
    }
    memcpy(o->data + o->len, s, n);
    o->len += n;
    o->data[o->len] = '\0';
}

static void out_puts(struct text_out *o, const char *s)
{
    out_put(o, s, strlen(s));
}

/* vsnprintf that cuts at a character; returns the length. */
static size_t format_cut(char *to, size_t size, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
static size_t format_cut(char *to, size_t size, const char *fmt, va_list args)
{
    int n = vsnprintf(to, size, fmt, args);
    if (n < 0) {
        to[0] = '\0';
        return 0;
    }
    if ((size_t)n < size)
        return (size_t)n;
    /* Only what was written is known: drop a last character that is not whole. */
    size_t len = size - 1;
    size_t start = len;
    while (start > 0 && ((unsigned char)to[start - 1] & 0xc0) == 0x80)
        start--;
    if (start > 0 && (unsigned char)to[start - 1] >= 0xc0) {
        unsigned lead = (unsigned char)to[start - 1];
        size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (len - (start - 1) < need)
            len = start - 1;
    }
    to[len] = '\0';
    return len;
}

int error_vset(struct error *err, int code, const char *fmt, va_list args)
{
    if (!err)
        return code;
    /* An argument may be the old text itself. */
    char text[ERROR_TEXT_MAX];
    size_t len = format_cut(text, sizeof text, fmt, args);
    memcpy(err->text, text, len + 1);
    err->code = code;
    err->sys = 0;
    return code;
}

int error_set(struct error *err, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    error_vset(err, code, fmt, args);
    va_end(args);
    return code;
}

static void set_system(struct error *err, int sys, const char *fmt, va_list args)
    __attribute__((format(printf, 3, 0)));
static void set_system(struct error *err, int sys, const char *fmt, va_list args)
{
    if (!err)
        return;
    char reason[256];
    const char *text = strerror_r(sys, reason, sizeof reason); /* the GNU form */
    error_vset(err, ERR_SYSTEM, fmt, args);
    err->sys = sys;
    struct text_out out = {err->text, strlen(err->text), sizeof err->text};
    char number[32];
    (void)snprintf(number, sizeof number, " (os error %d)", sys);
    out_puts(&out, out.len ? ": " : "");
    out_puts(&out, text);
    out_puts(&out, number);
}

int error_sys(struct error *err, const char *fmt, ...)
{
    int sys = errno;
    va_list args;
    va_start(args, fmt);
    set_system(err, sys, fmt, args);
    va_end(args);
    errno = sys;
    return ERR_SYSTEM;
}

int error_errno(struct error *err, int sys, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    set_system(err, sys, fmt, args);
    va_end(args);
    return ERR_SYSTEM;
}

int error_prefix(struct error *err, const char *fmt, ...)
{
    if (!err)
        return ERR_OK;
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    struct text_out out = {text, 0, sizeof text};
    out.len = format_cut(text, sizeof text, fmt, args);
    va_end(args);
    out_puts(&out, err->text);
    memcpy(err->text, text, out.len + 1);
    return err->code;
}

/* One cause behind what is there; later lines align with the first. */
static void put_cause(struct text_out *out, const char *s, size_t n, int number)
{
    int indent = CAUSE_INDENT;
    char label[24] = "";
    if (number >= 0) {
        indent = NUMBERED_INDENT;
        (void)snprintf(label, sizeof label, "%5d: ", number);
        out_puts(out, label);
    } else {
        out_put(out, "       ", CAUSE_INDENT);
    }
    while (n > 0) {
        const char *nl = memchr(s, '\n', n);
        size_t line = nl ? (size_t)(nl - s) : n;
        out_put(out, s, line);
        if (!nl)
            break;
        out_puts(out, "\n");
        s += line + 1;
        n -= line + 1;
        if (n > 0 && *s != '\n')
            out_put(out, "       ", (size_t)indent);
    }
}

/* Whether a line starts a numbered cause ("    0: "); its text is at *text then. */
static bool is_numbered(const char *line, const char **text)
{
    size_t i = 0;
    while (line[i] == ' ')
        i++;
    size_t digits = i;
    while (line[i] >= '0' && line[i] <= '9')
        i++;
    if (i == digits || i != CAUSE_INDENT + 1 || line[i] != ':' || line[i + 1] != ' ')
        return false;
    *text = line + i + 2;
    return true;
}

/* Copies the body of one printed cause without its indent. Returns what follows it. */
static const char *take_cause(const char *p, bool numbered, char *to, size_t *len)
{
    size_t indent = numbered ? NUMBERED_INDENT : CAUSE_INDENT;
    const char *text;
    bool first = true;
    *len = 0;
    while (*p) {
        if (first && numbered && is_numbered(p, &text)) {
            p = text;
        } else if (numbered && !first && is_numbered(p, &text)) {
            break;
        } else {
            for (size_t i = 0; i < indent && *p == ' '; i++)
                p++;
        }
        if (!first)
            to[(*len)++] = '\n';
        first = false;
        size_t line = strcspn(p, "\n");
        memcpy(to + *len, p, line);
        *len += line;
        p += line;
        if (*p == '\n')
            p++;
    }
    return p;
}

int error_cause(struct error *err, const char *fmt, ...)
{
    if (!err)
        return ERR_OK;
    char text[ERROR_TEXT_MAX];
    char body[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    struct text_out out = {text, 0, sizeof text};
    out.len = format_cut(text, sizeof text, fmt, args);
    va_end(args);

    out_puts(&out, CAUSE_MARK);
    const char *older = strstr(err->text, CAUSE_MARK);
    if (!older) {
        put_cause(&out, err->text, strlen(err->text), -1);
    } else {
        int number = 0;
        put_cause(&out, err->text, (size_t)(older - err->text), number++);
        const char *p = older + strlen(CAUSE_MARK);
        const char *unused;
        bool numbered = is_numbered(p, &unused);
        while (*p) {
            size_t len;
            p = take_cause(p, numbered, body, &len);
            out_puts(&out, "\n");
            put_cause(&out, body, len, number++);
        }
    }
    memcpy(err->text, text, out.len + 1);
    return err->code;
}

int error_nomem(struct error *err)
{
    return error_set(err, ERR_NOMEM, "out of memory");
}
