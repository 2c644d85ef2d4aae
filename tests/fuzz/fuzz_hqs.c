/*
 * HyperQueue's stream files, as a whole. Byte 0 of the input: 0: the rest is the file,
 * else the rest are its records behind a good header. Nothing may crash; each byte is
 * data of one record, part of a record, or reported as damaged; runs come in order.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "outlog/check.h"
#include "outlog/hqs.h"
#include "outlog/reader.h"

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t header[] = "hqsf0000\6AbC123\1";

struct sums {
    uint64_t output, damaged;
};

static void on_damage(void *arg, const struct outlog_damage *d)
{
    struct sums *s = arg;
    HQ_ASSERT(d->path[0] && d->what[0]);
    s->damaged += d->bytes;
}

static void read_runs(struct outlog_reader *r, struct sums *sums)
{
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    uint64_t last = 0;
    HQ_ASSERT(outlog_runs_create(&it, r, &err) == 0);
    while (outlog_runs_next(it, &run, &err) == 1) {
        uint64_t now = (uint64_t)run.job << 32 | run.task;
        HQ_ASSERT(now >= last && run.n_refs > 0 && !run.gaps);
        last = now;
        for (size_t i = 0; i < run.n_refs; i++) {
            const uint8_t *p;
            size_t n;
            HQ_ASSERT(outlog_read_block(r, &run.refs[i], &p, &n) == 0);
            HQ_ASSERT(n == run.refs[i].e.output && (n == 0 || p[n - 1] <= 255));
            sums->output += n;
        }
    }
    outlog_runs_destroy(it);
}

static uint64_t read_blocks(struct outlog_reader *r)
{
    struct outlog_block_filter all = {.any_job = true, .channel = -1, .verify = true};
    struct outlog_blocks *it;
    struct outlog_ref ref;
    struct error err = ERROR_INIT;
    uint64_t output = 0;
    HQ_ASSERT(outlog_blocks_create(&it, r, &all, &err) == 0);
    while (outlog_blocks_next(it, &ref, &err) == 1) {
        HQ_ASSERT(ref.e.output == 0 || outlog_blocks_data(it));
        output += ref.e.output;
    }
    outlog_blocks_destroy(it);
    return output;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    static char path[64];
    struct error err = ERROR_INIT;
    struct outlog_reader *r;
    struct outlog_check_report report;
    struct sums sums = {0};
    if (size == 0 || size > INPUT_MAX)
        return 0;
    if (fd < 0) {
        fd = memfd_create("stream", MFD_CLOEXEC);
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    size_t head = data[0] ? sizeof header - 1 : 0;
    HQ_ASSERT(ftruncate(fd, 0) == 0);
    HQ_ASSERT(pwrite(fd, header, head, 0) == (ssize_t)head);
    HQ_ASSERT(pwrite(fd, data + 1, size - 1, (off_t)head) == (ssize_t)(size - 1));
    if (outlog_reader_open(&r, path, NULL, &err) < 0) {
        HQ_ASSERT(!head && err.text[0]);
        return 0;
    }
    outlog_reader_on_damage(r, on_damage, &sums);
    read_runs(r, &sums);
    HQ_ASSERT(sums.output <= size);
    HQ_ASSERT(sums.damaged > 0 || sums.output < size);
    HQ_ASSERT(read_blocks(r) == sums.output);
    HQ_ASSERT(outlog_check(r, NULL, NULL, &report, &err) == 0);
    outlog_reader_destroy(r);
    return 0;
}
