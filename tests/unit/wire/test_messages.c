/* Every message of the catalogue, through the same X-macros that make the codec. */
#include "wire/messages.h"

#include <stdlib.h>
#include "test_main.h"

#define FIELDS_MAX 16

/* ---- values ---------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t random_u64(void)
{
    random_state += 0x9e3779b97f4a7c15u;
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Numbers of all lengths, the extremes among them. */
static uint64_t some_u64(void)
{
    uint64_t r = random_u64();
    return r % 8 == 0 ? 0 : r % 8 == 1 ? UINT64_MAX : random_u64() >> r % 64;
}
static uint32_t some_u32(void)
{
    uint64_t r = random_u64();
    return r % 8 == 0 ? 0 : r % 8 == 1 ? UINT32_MAX : (uint32_t)random_u64() >> r % 32;
}
static uint8_t some_u8(void)
{
    return (uint8_t)random_u64();
}
static int64_t some_i64(void)
{
    uint64_t r = random_u64();
    return r % 8 == 0 ? INT64_MIN : r % 8 == 1 ? INT64_MAX : (int64_t)some_u64();
}
static bool some_flag(void)
{
    return random_u64() & 1;
}
static struct span some_text(void)
{
    static const char *const texts[] = {
        "", "x", "name", "Grüße aus Řež",
        "a rather long text, to need more than one byte "
        "for its length: ................................"
        "................................................"};
    return span_str(texts[random_u64() % ARRAY_SIZE(texts)]);
}
static struct span some_blob(void)
{
    static uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 13);
    return (struct span){bytes, (size_t)(random_u64() % sizeof bytes)};
}

/* ---- comparing and measuring ----------------------------------------------------- */

static bool same_number(uint64_t a, uint64_t b)
{
    return a == b;
}
static bool same_i64(int64_t a, int64_t b)
{
    return a == b;
}
static bool same_span(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
#define SAME_u8 same_number
#define SAME_u32 same_number
#define SAME_u64 same_number
#define SAME_i64 same_i64
#define SAME_flag same_number
#define SAME_text same_span
#define SAME_blob same_span

static size_t size_number(uint64_t v)
{
    uint8_t bytes[VARINT_SIZE_MAX];
    return (size_t)(put_varint(bytes, v) - bytes);
}
static size_t size_i64(int64_t v)
{
    return size_number((uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}
static size_t size_span(struct span s)
{
    return size_number(s.n) + s.n;
}
#define SIZE_u8 size_number
#define SIZE_u32 size_number
#define SIZE_u64 size_number
#define SIZE_i64 size_i64
#define SIZE_flag size_number
#define SIZE_text size_span
#define SIZE_blob size_span

/* ---- one message ----------------------------------------------------------------- */

/* The body of a batch that holds one message. */
static struct span only_body(const struct buf *batch, uint8_t number)
{
    struct cursor c = cursor_make(batch->data, batch->len);
    struct span body = {NULL, 0};
    uint8_t type = 0;
    CU_ASSERT_EQUAL_FATAL(msg_next(&c, &type, &body), 0);
    CU_ASSERT_EQUAL(type, number);
    CU_ASSERT_EQUAL(msg_next(&c, &type, &body), ERR_CLOSED);
    return body;
}

/*
 * For each message: fill, count equal leading fields, and
 *   check_NAME: round trip; unknown bytes behind; every cut of the body, where a cut at
 *   the end of a field must read the fields before it and zeros behind, and any other
 *   cut must be refused.
 */
#define FIELD(type, name) m->name = some_##type();
#define MESSAGE(name, number, fields)             \
    static void fill_##name(struct msg_##name *m) \
    {                                             \
        (void)m;                                  \
        fields                                    \
    }
#include "wire/messages.def"
#undef MESSAGE
#undef FIELD

#define FIELD(type, name) at += SIZE_##type(m->name), ends[n++] = at;
#define MESSAGE(name, number, fields)                                              \
    static size_t ends_##name(const struct msg_##name *m, size_t ends[FIELDS_MAX]) \
    {                                                                              \
        size_t n = 0, at = 0;                                                      \
        (void)m;                                                                   \
        (void)at;                                                                  \
        (void)ends;                                                                \
        fields return n;                                                           \
    }
#include "wire/messages.def"
#undef MESSAGE
#undef FIELD

/* Whether the first n fields of `got` are those of `want` and the others zero. */
#define FIELD(type, name) \
    fine &= SAME_##type(got->name, i++ < n ? want->name : zero.name);
#define MESSAGE(name, number, fields)                                \
    static bool leads_##name(const struct msg_##name *want,          \
                             const struct msg_##name *got, size_t n) \
    {                                                                \
        struct msg_##name zero;                                      \
        size_t i = 0;                                                \
        bool fine = true;                                            \
        memset(&zero, 0, sizeof zero);                               \
        (void)want, (void)got, (void)n, (void)i, (void)zero;         \
        fields return fine;                                          \
    }
#include "wire/messages.def"
#undef MESSAGE
#undef FIELD

static size_t fields_before(const size_t *ends, size_t n, size_t cut, bool *boundary)
{
    size_t whole = 0;
    while (whole < n && ends[whole] <= cut)
        whole++;
    *boundary = cut == (whole ? ends[whole - 1] : 0);
    return whole;
}

#define MESSAGE(name, number, fields)                                             \
    static void check_##name(void)                                                \
    {                                                                             \
        struct msg_##name m, got;                                                 \
        struct buf batch = BUF_INIT(BUF_MAX_DEFAULT);                             \
        struct error err = ERROR_INIT;                                            \
        size_t ends[FIELDS_MAX] = {0};                                            \
        memset(&m, 0, sizeof m);                                                  \
        fill_##name(&m);                                                          \
        size_t n = ends_##name(&m, ends);                                         \
        msg_put_##name(&batch, &m);                                               \
        struct span body = only_body(&batch, number);                             \
        CU_ASSERT_EQUAL(body.n, n ? ends[n - 1] : 0);                             \
        memset(&got, 0xaa, sizeof got);                                           \
        CU_ASSERT_EQUAL(msg_get_##name(body, &got, &err), 0);                     \
        CU_ASSERT(leads_##name(&m, &got, n));                                     \
        for (size_t cut = 0; cut < body.n; cut++) {                               \
            bool boundary;                                                        \
            size_t whole = fields_before(ends, n, cut, &boundary);                \
            memset(&got, 0xaa, sizeof got);                                       \
            int rc = msg_get_##name((struct span){body.p, cut}, &got, &err);      \
            CU_ASSERT_EQUAL(rc, boundary ? 0 : ERR_CORRUPT);                      \
            CU_ASSERT(!boundary || leads_##name(&m, &got, whole));                \
            CU_ASSERT(boundary || !strcmp(err.text, "malformed message " #name)); \
        }                                                                         \
        struct buf longer = BUF_INIT(BUF_MAX_DEFAULT);                            \
        buf_append(&longer, body.p, body.n);                                      \
        buf_append(&longer, "\xff\xff\xff from a newer program", 24);             \
        CU_ASSERT_EQUAL(msg_get_##name(span_buf(&longer), &got, &err), 0);        \
        CU_ASSERT(leads_##name(&m, &got, n));                                     \
        buf_release(&longer);                                                     \
        buf_release(&batch);                                                      \
    }
#include "wire/messages.def"
#undef MESSAGE

static void test_every_message(void)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        random_state = seed;
#define MESSAGE(name, number, fields) check_##name();
#include "wire/messages.def"
#undef MESSAGE
    }
}

/* ---- batches --------------------------------------------------------------------- */

static void test_batch_of_all(void)
{
    struct buf batch = BUF_INIT(BUF_MAX_DEFAULT);
    random_state = 1000;
#define MESSAGE(name, number, fields) \
    {                                 \
        struct msg_##name m;          \
        memset(&m, 0, sizeof m);      \
        fill_##name(&m);              \
        msg_put_##name(&batch, &m);   \
    }
#include "wire/messages.def"
#undef MESSAGE
    struct cursor c = cursor_make(batch.data, batch.len);
    uint8_t type;
    struct span body;
#define MESSAGE(name, number, fields)               \
    CU_ASSERT_EQUAL(msg_next(&c, &type, &body), 0); \
    CU_ASSERT_EQUAL(type, MSG_##name);
#include "wire/messages.def"
#undef MESSAGE
    CU_ASSERT_EQUAL(msg_next(&c, &type, &body), ERR_CLOSED);
    /* Cut anywhere: whole messages, then an error unless the cut is between two. */
    for (size_t n = 0; n < batch.len; n++) {
        int rc;
        c = cursor_make(batch.data, n);
        while ((rc = msg_next(&c, &type, &body)) == 0)
            ;
        CU_ASSERT(rc == ERR_CORRUPT || rc == ERR_CLOSED);
    }
    buf_release(&batch);
}

/* Bodies around the lengths where their own length needs one byte more. */
static void test_lengths_of_bodies(void)
{
    static const size_t sizes[] = {0,     1,     125,     126,     127,    128,
                                   16380, 16381, 2097147, 2097148, 5000000};
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        char *text = malloc(sizes[i] + 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        memset(text, 'a', sizes[i]);
        struct msg_RSP_SERVER_INFO m = {.info = {(const uint8_t *)text, sizes[i]}}, got;
        struct buf batch = BUF_INIT(BUF_MAX_DEFAULT);
        buf_puts(&batch, "");
        msg_put_RSP_SERVER_INFO(&batch, &m);
        struct span body = only_body(&batch, MSG_RSP_SERVER_INFO);
        struct error err = ERROR_INIT;
        CU_ASSERT_EQUAL(msg_get_RSP_SERVER_INFO(body, &got, &err), 0);
        CU_ASSERT(same_span(m.info, got.info));
        buf_release(&batch);
        free(text);
    }
}

static void test_full_batch(void)
{
    struct msg_TASKS_ACK m = {.seq = UINT64_MAX};
    for (size_t max = 0; max < 12; max++) {
        struct buf batch = BUF_INIT(max);
        msg_put_TASKS_ACK(&batch, &m);
        CU_ASSERT(batch.failed);
        buf_release(&batch);
    }
}

/* ---- malformed ------------------------------------------------------------------- */

static void test_malformed_fields(void)
{
    struct error err = ERROR_INIT;
    struct msg_GRANTS_REFUSED refused;
    struct msg_REQ_TASK_EXPLAIN explain;
    struct msg_JOB_DEFINE define;
    struct msg_TASKS_ACK ack;
    static const struct {
        const char *bytes;
        size_t n;
        int rc;
    } u32_u8[] = {
        {"\xff\xff\xff\xff\x0f\xff\x01\0", 8, 0},
        {"\xff\xff\xff\xff\x1f\0\0", 7, ERR_CORRUPT}, /* u32 above its range */
        {"\0\x80\x02\0", 4, ERR_CORRUPT},             /* u8 above its range */
        {"\x80", 1, ERR_CORRUPT}};
    for (size_t i = 0; i < ARRAY_SIZE(u32_u8); i++)
        CU_ASSERT_EQUAL(
            msg_get_GRANTS_REFUSED(
                (struct span){(const uint8_t *)u32_u8[i].bytes, u32_u8[i].n}, &refused,
                &err),
            u32_u8[i].rc);
    for (unsigned flag = 0; flag < 256; flag++) {
        uint8_t body[] = {1, (uint8_t)flag, 1};
        int rc = msg_get_REQ_TASK_EXPLAIN((struct span){body, 3}, &explain, &err);
        CU_ASSERT_EQUAL(rc, flag <= 1 ? 0 : ERR_CORRUPT);
    }
    uint8_t nul[] = {1, 3, 'a', 0, 'b'}, beyond[] = {1, 4, 'a', 'b', 'c'};
    CU_ASSERT_EQUAL(msg_get_JOB_DEFINE((struct span){nul, 5}, &define, &err),
                    ERR_CORRUPT);
    CU_ASSERT_EQUAL(msg_get_JOB_DEFINE((struct span){beyond, 5}, &define, &err),
                    ERR_CORRUPT);
    uint8_t huge[] = {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    CU_ASSERT_EQUAL(msg_get_JOB_DEFINE((struct span){huge, 11}, &define, &err),
                    ERR_CORRUPT);
    uint8_t varint[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
    CU_ASSERT_EQUAL(msg_get_TASKS_ACK((struct span){varint, 10}, &ack, &err),
                    ERR_CORRUPT);
    CU_ASSERT_EQUAL(msg_get_TASKS_ACK((struct span){NULL, 0}, &ack, NULL), 0);
}

/* ---- names and printing ---------------------------------------------------------- */

static void test_names_and_numbers(void)
{
    static const uint8_t numbers[] = {
#define MESSAGE(name, number, fields) number,
#include "wire/messages.def"
#undef MESSAGE
    };
    bool used[256] = {false};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
        CU_ASSERT(!used[numbers[i]] && numbers[i] > 0 && numbers[i] < MSG_TYPE_LIMIT);
        used[numbers[i]] = true;
    }
    for (unsigned n = 0; n < 256; n++)
        CU_ASSERT_EQUAL(strcmp(msg_name((uint8_t)n), "unknown") != 0, used[n]);
    CU_ASSERT_STRING_EQUAL(msg_name(MSG_TASKS_ENDED), "TASKS_ENDED");
}

static void test_printing(void)
{
    struct buf batch = BUF_INIT(BUF_MAX_DEFAULT), out = BUF_INIT(BUF_MAX_DEFAULT);
    struct msg_LOG_OPEN m = {.log = 7,
                             .path = span_str("/x/y"),
                             .replace = true,
                             .found = {(const uint8_t *)"abc", 3}};
    msg_put_LOG_OPEN(&batch, &m);
    msg_print(MSG_LOG_OPEN, only_body(&batch, MSG_LOG_OPEN), &out);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out),
                           "LOG_OPEN log=7 path=\"/x/y\" replace=1 found=<3 bytes>");
    struct msg_RSP_ERROR e = {.code = -6, .message = span_str("no")};
    buf_clear(&batch);
    buf_clear(&out);
    msg_put_RSP_ERROR(&batch, &e);
    msg_print(MSG_RSP_ERROR, only_body(&batch, MSG_RSP_ERROR), &out);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "RSP_ERROR code=-6 message=\"no\"");
    buf_clear(&out);
    msg_print(MSG_RSP_ERROR, (struct span){(const uint8_t *)"\x80", 1}, &out);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "RSP_ERROR (malformed)");
    buf_clear(&out);
    msg_print(127, (struct span){(const uint8_t *)"xy", 2}, &out);
    CU_ASSERT_STRING_EQUAL(buf_cstr(&out), "unknown type=127 <2 bytes>");
    buf_release(&batch);
    buf_release(&out);
}

static void test_spans(void)
{
    char *copy = span_dup(span_str("text"));
    CU_ASSERT_STRING_EQUAL(copy, "text");
    free(copy);
    copy = span_dup((struct span){NULL, 0});
    CU_ASSERT_STRING_EQUAL(copy, "");
    free(copy);
    CU_ASSERT(span_equal(span_str("a"), "a") && span_equal(span_str(NULL), ""));
    CU_ASSERT(!span_equal(span_str("ab"), "a") && !span_equal(span_str("a"), "b"));
}

/* ---- the document ---------------------------------------------------------------- */

/* docs/protocol.md lists every message with its number and its fields. */
static void test_document(void)
{
    FILE *f = fopen("../../docs/protocol.md", "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    CU_ASSERT_EQUAL(buf_read_fd(&text, fileno(f)), 0);
    (void)fclose(f);
    size_t rows = 0, n = 0;
#define FIELD(type, name) \
    buf_puts(&row, row.len > start ? ", " : ""), buf_puts(&row, #name " " #type);
#define MESSAGE(name, number, fields)                                    \
    {                                                                    \
        struct buf row = BUF_INIT(BUF_MAX_DEFAULT);                      \
        buf_printf(&row, "\n| %d | `%s` | ", number, #name);             \
        size_t start = row.len;                                          \
        (void)start;                                                     \
        fields buf_puts(&row, row.len > start ? " |" : "- |");           \
        if (!strstr(buf_cstr(&text), buf_cstr(&row)))                    \
            (void)printf("\n    not in protocol.md:%s", buf_cstr(&row)); \
        CU_ASSERT_PTR_NOT_NULL(strstr(buf_cstr(&text), buf_cstr(&row))); \
        buf_release(&row);                                               \
        n++;                                                             \
    }
#include "wire/messages.def"
#undef MESSAGE
#undef FIELD
    /* And no others. */
    for (const char *p = buf_cstr(&text); (p = strstr(p, "\n| ")) != NULL; p++) {
        unsigned number;
        char name[64];
        if (sscanf(p, "\n| %u | `%63[A-Z_]`", &number, name) == 2) {
            rows++;
            CU_ASSERT_STRING_EQUAL(msg_name((uint8_t)number), name);
        }
    }
    CU_ASSERT_EQUAL(rows, n);
    buf_release(&text);
}

TEST_MAIN("messages", TEST(test_every_message), TEST(test_batch_of_all),
          TEST(test_lengths_of_bodies), TEST(test_full_batch),
          TEST(test_malformed_fields), TEST(test_names_and_numbers),
          TEST(test_printing), TEST(test_spans), TEST(test_document))
