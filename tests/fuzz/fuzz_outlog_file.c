/*
 * The reader on whole files. Byte 0 of the input:
 *   0      the rest is the file as it is
 *   else   the rest are patches (fuzz_outlog_image.h) to a good log; bits: 2: with
 *          packed groups, 4: sealed, 8: checksums are made right again, so that the
 *          decoders behind them are reached, 16: the log is checked, too
 * Nothing may crash; runs come in order; each block is read.
 */
#include "fuzz_outlog_image.h"
#include "outlog/check.h"
#include "outlog/seal.h"

#define INPUT_MAX 65536
#define TASKS 24u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct image images[4]; /* by (bits & 6) / 2 */
static struct image plain;     /* a file of its own, without a log */

static void seal(struct image *im)
{
    struct outlog_seal_options o = {.now_us = 3};
    struct outlog_seal_result result;
    struct error err = ERROR_INIT;
    HQ_ASSERT(outlog_seal(im->path, &o, &result, &err) == 0);
}

static void prepare(void)
{
    if (images[0].map)
        return;
    for (int i = 0; i < 4; i++) {
        image_make(&images[i], i & 1, TASKS);
        if (i & 2)
            seal(&images[i]);
        image_map(&images[i]);
    }
    plain.fd = memfd_create("file", MFD_CLOEXEC);
    HQ_ASSERT(plain.fd >= 0);
    (void)snprintf(plain.path, sizeof plain.path, "/proc/self/fd/%d", plain.fd);
}

static void read_runs(struct outlog_reader *r)
{
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    HQ_ASSERT(outlog_runs_create(&it, r, &err) == 0);
    uint64_t last = 0;
    while (outlog_runs_next(it, &run, &err) == 1) {
        uint64_t now = (uint64_t)run.job << 32 | run.task;
        HQ_ASSERT(now >= last && run.n_refs > 0);
        last = now;
        for (size_t i = 0; i < run.n_refs; i++) {
            const uint8_t *data;
            size_t n;
            struct outlog_end end;
            struct outlog_origin origin;
            if (outlog_read_block(r, &run.refs[i], &data, &n) == 0)
                HQ_ASSERT(n == run.refs[i].e.output && (n == 0 || data[n - 1] <= 255));
            (void)!outlog_read_end(r, &run.refs[i], &end);
            (void)outlog_read_origin(r, &run.refs[i], &origin);
        }
    }
    (void)!outlog_runs_seek(it, 1, 10, &err);
    if (outlog_runs_next(it, &run, &err) == 1)
        HQ_ASSERT(run.job > 1 || (run.job == 1 && run.task >= 10));
    outlog_runs_destroy(it);
}

static void read_blocks(struct outlog_reader *r)
{
    struct outlog_block_filter all = {.any_job = true, .channel = -1};
    struct outlog_blocks *it;
    struct outlog_ref ref;
    struct error err = ERROR_INIT;
    HQ_ASSERT(outlog_blocks_create(&it, r, &all, &err) == 0);
    while (outlog_blocks_next(it, &ref, &err) == 1)
        ;
    outlog_blocks_destroy(it);
}

static void read_all(const char *path, bool check)
{
    struct outlog_reader *r;
    struct error err = ERROR_INIT;
    struct outlog_counts counts;
    struct outlog_ids ids;
    struct outlog_check_report report;
    if (outlog_reader_open(&r, path, NULL, &err) < 0) {
        HQ_ASSERT(err.text[0]);
        return;
    }
    read_runs(r);
    read_blocks(r);
    (void)!outlog_reader_largest_ids(r, &ids, &err);
    (void)!outlog_reader_counts(r, &counts, &err);
    if (check)
        HQ_ASSERT(outlog_check(r, NULL, NULL, &report, &err) == 0);
    outlog_reader_destroy(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_make(data, size);
    if (size == 0 || size > INPUT_MAX)
        return 0;
    prepare();
    uint8_t how = cursor_u8(&c);
    if (how == 0) {
        HQ_ASSERT(ftruncate(plain.fd, 0) == 0);
        HQ_ASSERT(pwrite(plain.fd, c.p, cursor_left(&c), 0) ==
                  (ssize_t)cursor_left(&c));
        read_all(plain.path, true);
        return 0;
    }
    struct image *im = &images[how >> 1 & 3];
    image_patch(im, how & 8, &c);
    read_all(im->path, how & 16);
    image_restore(im);
    return 0;
}
