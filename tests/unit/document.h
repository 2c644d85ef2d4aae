/*
 * Test vectors in documents: fenced blocks "```hex NAME" of hex digits and blanks. Each
 * must equal the bytes that the code makes, and each must be checked.
 */
#ifndef HQ_TEST_DOCUMENT_H
#define HQ_TEST_DOCUMENT_H

#include <ctype.h>
#include "base/buf.h"
#include "base/path.h"
#include "test_main.h"

struct document {
    struct buf text;
    size_t n_checked;
};

#define DOCUMENT_MARK "\n```hex "

static inline void document_open(struct document *d, const char *path)
{
    struct error err = ERROR_INIT;
    memset(d, 0, sizeof *d);
    buf_init(&d->text, BUF_MAX_DEFAULT);
    CU_ASSERT_EQUAL_FATAL(path_read_file(path, &d->text, &err), 0);
}

static inline void document_print(const char *name, const uint8_t *p, size_t n)
{
    (void)printf("\n    the code makes:\n```hex %s", name);
    for (size_t i = 0; i < n; i++)
        (void)printf("%s%02x", i % 32 == 0 ? "\n" : i % 4 == 0 ? " " : "", p[i]);
    (void)printf("\n```\n");
}

static inline int document_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0'
           : c >= 'a' && c <= 'f'    ? c - 'a' + 10
                                     : -1;
}

/* The block of that name as bytes; false when there is none. */
static inline bool document_block(const struct document *d, const char *name,
                                  struct buf *out)
{
    size_t n = strlen(name), mark = strlen(DOCUMENT_MARK);
    const char *p = buf_cstr(&d->text);
    while ((p = strstr(p, DOCUMENT_MARK)) != NULL) {
        p += mark;
        if (strncmp(p, name, n) == 0 && p[n] == '\n')
            break;
    }
    if (!p)
        return false;
    for (p += n; *p && *p != '`'; p++) {
        if (isspace((unsigned char)*p))
            continue;
        int high = document_digit(p[0]), low = document_digit(p[1]);
        CU_ASSERT_FATAL(high >= 0 && low >= 0);
        buf_u8(out, (uint8_t)(high << 4 | low));
        p++;
    }
    return true;
}

static inline void document_check(struct document *d, const char *name, const void *p,
                                  size_t n)
{
    struct buf block = BUF_INIT(BUF_MAX_DEFAULT);
    bool same = document_block(d, name, &block) && block.len == n &&
                (n == 0 || memcmp(block.data, p, n) == 0);
    if (!same)
        document_print(name, p, n);
    CU_ASSERT(same);
    d->n_checked++;
    buf_release(&block);
}

static inline void document_check_buf(struct document *d, const char *name,
                                      struct buf *b)
{
    document_check(d, name, b->data, b->len);
    buf_clear(b);
}

/* Every block was checked. */
static inline void document_close(struct document *d)
{
    size_t n = 0;
    for (const char *p = buf_cstr(&d->text); (p = strstr(p, DOCUMENT_MARK)); p++)
        n++;
    CU_ASSERT_EQUAL(n, d->n_checked);
    buf_release(&d->text);
}

#endif
