/* What is read back: round trips, torn tails, damage, foreign files. */
#include "base/checksum.h"
#include "rig.h"

#define N_RECORDS 6

static const char *const texts[N_RECORDS] = {
    "one", "two, a little longer", "3", "four", "five five five", "the last"};

/* A closed journal of N_RECORDS records; where each ends. */
static void make_journal(struct rig *r, size_t ends[N_RECORDS])
{
    rig_make(r);
    rig_open(r);
    size_t at = JOURNAL_HEADER_SIZE;
    for (size_t i = 0; i < N_RECORDS; i++) {
        CU_ASSERT_EQUAL(rig_append(r, texts[i]), i + 1);
        at += JOURNAL_FRAME_SIZE + 1 + strlen(texts[i]);
        ends[i] = at;
    }
    CU_ASSERT_EQUAL(journal_appended(r->j), N_RECORDS);
    rig_close(r);
}

static void test_round_trip(void)
{
    struct rig r;
    size_t ends[N_RECORDS];
    make_journal(&r, ends);
    rig_expect(&r, N_RECORDS, texts);
    struct rig_found f;
    CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
    CU_ASSERT_STRING_EQUAL(f.header.server_uid, RIG_UID);
    CU_ASSERT_EQUAL(f.header.created_us, RIG_CREATED_US);
    rig_found_release(&f);
    struct stat st;
    CU_ASSERT_EQUAL(stat(r.path, &st), 0);
    CU_ASSERT_EQUAL((size_t)st.st_size, ends[N_RECORDS - 1]);
    CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
    rig_drop(&r);
}

static void test_a_second_run_appends(void)
{
    struct rig r;
    struct error err = ERROR_INIT;
    rig_make(&r);
    rig_open(&r);
    (void)rig_append(&r, "a");
    rig_close(&r);
    /* Uid and time belong to a new file only. */
    const struct journal_config config = {
        .path = r.path, .server_uid = "other", .now_us = 1, .flush_period_ns = 1};
    CU_ASSERT_EQUAL_FATAL(journal_open(&config, &r.j, &err), 0);
    CU_ASSERT_EQUAL(journal_appended(r.j), 0);
    CU_ASSERT_EQUAL(rig_append(&r, "b"), 1);
    rig_close(&r);
    const char *const want[] = {"a", "b"};
    rig_expect(&r, 2, want);
    struct rig_found f;
    CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
    CU_ASSERT_STRING_EQUAL(f.header.server_uid, RIG_UID);
    rig_found_release(&f);
    rig_drop(&r);
}

static void test_several_events_in_a_record(void)
{
    struct rig r;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    rig_make(&r);
    rig_open(&r);
    buf_str(&b, "x");
    buf_str(&b, "");
    buf_str(&b, "z");
    (void)journal_append(r.j, b.data, b.len);
    buf_release(&b);
    rig_close(&r);
    const char *const want[] = {"x", "", "z"};
    rig_expect(&r, 3, want);
    rig_drop(&r);
}

/* Records from one byte to beyond the window of the reader. */
static void test_sizes(void)
{
    static const size_t sizes[] = {1, 127, 128, 65536, 1 << 20, 5 << 20, 2};
    struct rig r;
    struct rig_found f;
    rig_make(&r);
    rig_open(&r);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        char *text = malloc(sizes[i] + 1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        memset(text, 'a' + (int)i, sizes[i]);
        text[sizes[i]] = '\0';
        (void)rig_append(&r, text);
        free(text);
    }
    rig_close(&r);
    CU_ASSERT_EQUAL_FATAL(rig_read(&r, &f), 0);
    CU_ASSERT_EQUAL_FATAL(f.n_events, ARRAY_SIZE(sizes));
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        const char *text = rig_event(&f, i);
        CU_ASSERT_EQUAL(strlen(text), sizes[i]);
        CU_ASSERT(text[0] == 'a' + (int)i && text[sizes[i] - 1] == 'a' + (int)i);
    }
    rig_found_release(&f);
    rig_drop(&r);
}

static int stop_at_second(void *arg, struct span event UNUSED, struct error *err)
{
    int *n = arg;
    return ++*n == 2 ? error_set(err, ERR_INVALID, "enough") : 0;
}

static void test_reader_may_stop(void)
{
    struct rig r;
    size_t ends[N_RECORDS];
    struct error err = ERROR_INIT;
    int n = 0;
    make_journal(&r, ends);
    CU_ASSERT_EQUAL(journal_read(r.path, NULL, stop_at_second, NULL, &n, NULL, &err),
                    ERR_INVALID);
    CU_ASSERT_EQUAL(n, 2);
    CU_ASSERT_STRING_EQUAL(err.text, "enough");
    rig_drop(&r);
}

static size_t whole_before(const size_t ends[N_RECORDS], size_t n)
{
    size_t whole = 0;
    while (whole < N_RECORDS && ends[whole] <= n)
        whole++;
    return whole;
}

/* Cut at every byte: the whole records stay, the next server goes on behind them. */
static void test_torn_at_every_byte(void)
{
    struct rig r;
    size_t ends[N_RECORDS];
    make_journal(&r, ends);
    struct buf bytes = rig_bytes(&r);
    for (size_t n = JOURNAL_HEADER_SIZE; n <= bytes.len; n++) {
        size_t whole = whole_before(ends, n);
        size_t end = whole ? ends[whole - 1] : JOURNAL_HEADER_SIZE;
        struct rig_found f;
        rig_put_bytes(&r, bytes.data, n);
        CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
        CU_ASSERT_EQUAL(f.n_events, whole);
        CU_ASSERT_EQUAL(f.torn, n - end);
        rig_found_release(&f);
        rig_open(&r);
        CU_ASSERT_EQUAL(r.torn, n - end);
        (void)rig_append(&r, "next");
        rig_close(&r);
        const char *want[N_RECORDS + 1];
        memcpy(want, texts, sizeof texts);
        want[whole] = "next";
        rig_expect(&r, whole + 1, want);
    }
    buf_release(&bytes);
    rig_drop(&r);
}

/* A machine that crashed may leave anything behind the last synced record. */
static void test_garbage_behind_the_end(void)
{
    static const uint8_t fillings[] = {0x00, 0xff, 0x5a};
    struct rig r;
    size_t ends[N_RECORDS];
    make_journal(&r, ends);
    for (size_t i = 0; i < ARRAY_SIZE(fillings); i++) {
        struct buf bytes = rig_bytes(&r);
        struct rig_found f;
        memset(buf_extend(&bytes, 5000), fillings[i], 5000);
        rig_put_bytes(&r, bytes.data, bytes.len);
        CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
        CU_ASSERT_EQUAL(f.torn, 5000);
        rig_found_release(&f);
        rig_open(&r);
        rig_close(&r);
        rig_expect(&r, N_RECORDS, texts);
        buf_release(&bytes);
    }
    rig_drop(&r);
}

/* Every byte flipped: refused with the offset while whole records follow, a torn tail
 * in the last record; never a wrong event. */
static void test_flipped_bytes(void)
{
    struct rig r;
    size_t ends[N_RECORDS];
    make_journal(&r, ends);
    struct buf bytes = rig_bytes(&r);
    for (size_t at = JOURNAL_HEADER_SIZE; at < bytes.len; at++) {
        struct rig_found f;
        struct error err = ERROR_INIT;
        size_t whole = whole_before(ends, at);
        char offset[32];
        (void)snprintf(offset, sizeof offset, "offset %zu ",
                       whole ? ends[whole - 1] : JOURNAL_HEADER_SIZE);
        bytes.data[at] ^= (uint8_t)(1u << at % 8);
        rig_put_bytes(&r, bytes.data, bytes.len);
        bytes.data[at] ^= (uint8_t)(1u << at % 8);
        int rc = rig_read(&r, &f);
        CU_ASSERT_EQUAL(f.n_events, whole);
        for (size_t i = 0; i < f.n_events; i++)
            CU_ASSERT_STRING_EQUAL(rig_event(&f, i), texts[i]);
        if (whole == N_RECORDS - 1) {
            CU_ASSERT_EQUAL(rc, 0);
            CU_ASSERT_EQUAL(f.torn, bytes.len - ends[whole - 1]);
        } else {
            CU_ASSERT_EQUAL(rc, ERR_CORRUPT);
            CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, offset));
            CU_ASSERT_EQUAL(rig_try_open(&r, 1, &err), ERR_CORRUPT);
            CU_ASSERT_PTR_NOT_NULL(strstr(err.text, offset));
            struct buf now = rig_bytes(&r);
            CU_ASSERT_EQUAL(now.len, bytes.len); /* nothing was cut */
            buf_release(&now);
        }
        rig_found_release(&f);
    }
    buf_release(&bytes);
    rig_drop(&r);
}

/* A record moved to another place or taken from another file is none of this one. */
static void test_records_belong_to_their_place(void)
{
    struct rig r;
    size_t ends[N_RECORDS];
    make_journal(&r, ends);
    struct buf bytes = rig_bytes(&r);
    struct rig_found f;
    buf_append(&bytes, bytes.data + JOURNAL_HEADER_SIZE, ends[0] - JOURNAL_HEADER_SIZE);
    rig_put_bytes(&r, bytes.data, bytes.len);
    CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
    CU_ASSERT_EQUAL(f.n_events, N_RECORDS);
    CU_ASSERT_EQUAL(f.torn, ends[0] - JOURNAL_HEADER_SIZE);
    rig_found_release(&f);
    struct file_header other;
    header_make(&other, RIG_UID, RIG_CREATED_US + 1);
    header_encode(&other, bytes.data);
    rig_put_bytes(&r, bytes.data, ends[N_RECORDS - 1]);
    CU_ASSERT_EQUAL(rig_read(&r, &f), 0);
    CU_ASSERT_EQUAL(f.n_events, 0);
    rig_found_release(&f);
    buf_release(&bytes);
    rig_drop(&r);
}

/* Intact frame around events that lie about their lengths. */
static void test_malformed_payload(void)
{
    static const uint8_t payload[] = {1, 'a', 5, 'b'};
    struct rig r;
    struct rig_found f;
    rig_make(&r);
    rig_open(&r);
    (void)journal_append(r.j, payload, sizeof payload);
    rig_close(&r);
    CU_ASSERT_EQUAL(rig_read(&r, &f), ERR_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, "offset 80"));
    rig_found_release(&f);
    rig_drop(&r);
}

static void put_header(const struct rig *r, uint32_t version, uint32_t size)
{
    struct file_header h;
    uint8_t bytes[JOURNAL_HEADER_SIZE];
    header_make(&h, RIG_UID, RIG_CREATED_US);
    header_encode(&h, bytes);
    put_u32(bytes + 8, version);
    put_u32(bytes + 12, size);
    put_u64(bytes + 72, checksum64(bytes, 72, checksum_seed(h.file_uid, 0)));
    rig_put_bytes(r, bytes, sizeof bytes);
}

static void test_versions(void)
{
    static const struct {
        uint32_t version;
        const char *text;
    } cases[] = {{2, "Cannot load newer journal file"},
                 {0, "Journal version mismatch"},
                 {UINT32_MAX, "version 4294967295"}};
    struct rig r;
    struct error err = ERROR_INIT;
    rig_make(&r);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig_found f;
        put_header(&r, cases[i].version, JOURNAL_HEADER_SIZE);
        CU_ASSERT_EQUAL(rig_read(&r, &f), ERR_VERSION);
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, cases[i].text));
        CU_ASSERT_PTR_NOT_NULL(strstr(f.err.text, r.path));
        rig_found_release(&f);
        CU_ASSERT_EQUAL(rig_try_open(&r, 1, &err), ERR_VERSION);
    }
    rig_drop(&r);
}

/* A later program may add fields to the header: records begin where it says. */
static void test_longer_header(void)
{
    struct rig r;
    rig_make(&r);
    put_header(&r, JOURNAL_VERSION, JOURNAL_HEADER_SIZE + 8);
    struct buf bytes = rig_bytes(&r);
    buf_u64(&bytes, 12345);
    rig_put_bytes(&r, bytes.data, bytes.len);
    buf_release(&bytes);
    rig_open(&r);
    (void)rig_append(&r, "behind it");
    rig_close(&r);
    const char *const want[] = {"behind it"};
    rig_expect(&r, 1, want);
    rig_drop(&r);
}

static void test_damaged_header(void)
{
    struct rig r;
    size_t ends[N_RECORDS];
    make_journal(&r, ends);
    struct buf bytes = rig_bytes(&r);
    for (size_t at = 0; at < JOURNAL_HEADER_SIZE; at++) {
        struct rig_found f;
        bytes.data[at] ^= 0x10;
        rig_put_bytes(&r, bytes.data, bytes.len);
        bytes.data[at] ^= 0x10;
        int rc = rig_read(&r, &f);
        CU_ASSERT_EQUAL(rc, at >= 8 && at < 12 ? ERR_VERSION : ERR_CORRUPT);
        CU_ASSERT_EQUAL(f.n_events, 0);
        rig_found_release(&f);
    }
    buf_release(&bytes);
    rig_drop(&r);
}

static void test_foreign_files(void)
{
    static const struct {
        const char *bytes;
        size_t n;
        int rc;
        const char *text;
    } cases[] = {
        {"this is not a journal at all", 28, ERR_CORRUPT, "Invalid journal format"},
        {"x", 1, ERR_CORRUPT, "Invalid journal format"},
        {"\0\0\0\0\0\0\0\0\0\0", 10, ERR_CORRUPT, "Invalid journal format"},
        {"", 0, ERR_NOT_FOUND, "failed to fill whole buffer"},
        {"\x89HQJ", 4, ERR_NOT_FOUND, "failed to fill whole buffer"}};
    struct rig r;
    struct error err = ERROR_INIT;
    rig_make(&r);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig_found f;
        rig_put_bytes(&r, cases[i].bytes, cases[i].n);
        CU_ASSERT_EQUAL(rig_read(&r, &f), cases[i].rc);
        CU_ASSERT_STRING_EQUAL(f.err.text, cases[i].text);
        CU_ASSERT_EQUAL(f.err.code, cases[i].rc);
        rig_found_release(&f);
        int rc = rig_try_open(&r, 1, &err);
        if (cases[i].rc == ERR_CORRUPT) {
            CU_ASSERT_EQUAL(rc, ERR_CORRUPT);
            struct buf now = rig_bytes(&r);
            CU_ASSERT_EQUAL(now.len, cases[i].n);
            buf_release(&now);
        } else { /* what a crash at creation left behind becomes a journal */
            CU_ASSERT_EQUAL_FATAL(rc, 0);
            rig_close(&r);
            rig_expect(&r, 0, NULL);
        }
    }
    rig_drop(&r);
}

static void test_headers_cut_anywhere_are_new(void)
{
    struct rig r;
    rig_make(&r);
    put_header(&r, JOURNAL_VERSION, JOURNAL_HEADER_SIZE);
    struct buf bytes = rig_bytes(&r);
    for (size_t n = 0; n < bytes.len; n++) {
        struct rig_found f;
        rig_put_bytes(&r, bytes.data, n);
        CU_ASSERT_EQUAL(rig_read(&r, &f), ERR_NOT_FOUND);
        rig_found_release(&f);
        rig_open(&r);
        rig_close(&r);
        rig_expect(&r, 0, NULL);
    }
    buf_release(&bytes);
    rig_drop(&r);
}

static void test_paths(void)
{
    static const struct {
        const char *path;
        int rc;
        const char *text;
    } cases[] = {
        {"missing", ERR_NOT_FOUND, "No such file or directory (os error 2)"},
        {"no/such/dir/j", ERR_NOT_FOUND, "No such file or directory (os error 2)"},
        {".", ERR_SYSTEM, "Is a directory (os error 21)"}};
    struct rig r;
    rig_make(&r);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig_found f;
        (void)snprintf(r.path, sizeof r.path, "%s/%s", r.dir, cases[i].path);
        CU_ASSERT_EQUAL(rig_read(&r, &f), cases[i].rc);
        CU_ASSERT_STRING_EQUAL(f.err.text, cases[i].text);
        CU_ASSERT_EQUAL(f.err.code, cases[i].rc);
        rig_found_release(&f);
    }
    struct error err = ERROR_INIT;
    char want[200];
    (void)snprintf(r.path, sizeof r.path, "%s/no/such/dir/j", r.dir);
    (void)snprintf(want, sizeof want,
                   "Cannot create event log file at `%s`: No such file or directory "
                   "(os error 2)",
                   r.path);
    CU_ASSERT_EQUAL(rig_try_open(&r, 1, &err), ERR_SYSTEM);
    CU_ASSERT_STRING_EQUAL(err.text, want);
    (void)snprintf(r.path, sizeof r.path, "%s", "/dev/null");
    CU_ASSERT_EQUAL(rig_try_open(&r, 1, &err), ERR_CORRUPT);
    rig_drop(&r);
}

TEST_MAIN("journal read", TEST(test_round_trip), TEST(test_a_second_run_appends),
          TEST(test_several_events_in_a_record), TEST(test_sizes),
          TEST(test_reader_may_stop), TEST(test_torn_at_every_byte),
          TEST(test_garbage_behind_the_end), TEST(test_flipped_bytes),
          TEST(test_records_belong_to_their_place), TEST(test_malformed_payload),
          TEST(test_versions), TEST(test_longer_header), TEST(test_damaged_header),
          TEST(test_foreign_files), TEST(test_headers_cut_anywhere_are_new),
          TEST(test_paths))
