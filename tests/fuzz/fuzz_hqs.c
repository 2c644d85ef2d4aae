/*
 * HyperQueue's stream files. Byte 0 of the input: 0: the rest is the file, else the
 * rest are its records behind a good header. Each byte is data of one record, part of a
 * record, or reported as damaged; runs come in order.
 */
#include "fuzz_outlog.h"
#include "outlog/hqs.h"

#define INPUT_MAX 65536
#define RECORD_MIN 6u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t header[] = "hqsf0000\6AbC123\1";

/* Numbers count from 0 in each run, whatever the order in the file. */
static void check_runs(const struct extent_info *x)
{
    for (size_t i = 0; i < x->n_entries; i++) {
        const struct outlog_entry *e = &x->entries[i];
        bool begins = i == 0 || e->key.job != e[-1].key.job ||
                      e->key.task != e[-1].key.task ||
                      e->key.instance != e[-1].key.instance;
        HQ_ASSERT(e->key.seq == (begins ? 0 : e[-1].key.seq + 1));
        HQ_ASSERT(i == 0 || outlog_key_cmp(&e[-1].key, &e->key) < 0);
        HQ_ASSERT(e->inner == 0);
    }
}

static void read_records(struct scan *s, struct extent_info *x, size_t size)
{
    uint64_t output = 0, damaged = 0;
    enum scan_result r;
    while ((r = scan_next(s)) != SCAN_END) {
        if (r != SCAN_BLOCK) {
            HQ_ASSERT(s->damage_what[0] && s->damage_bytes > 0);
            damaged += s->damage_bytes;
            continue;
        }
        if (s->e.output) {
            const uint8_t *p = scan_data(s);
            HQ_ASSERT(p);
            fuzz_touch(p, s->e.output);
        }
        HQ_ASSERT(x->n_entries <= size / RECORD_MIN);
        x->entries[x->n_entries++] = s->e;
        output += s->e.output;
    }
    HQ_ASSERT(s->pos == s->end);
    HQ_ASSERT(output + RECORD_MIN * x->n_entries <= size);
    HQ_ASSERT(damaged > 0 || size == 0 || x->n_entries > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_log log;
    struct scan s;
    if (size == 0 || size > INPUT_MAX)
        return 0;
    size_t head = data[0] ? sizeof header - 1 : 0;
    size_t n = head + size - 1;
    uint8_t *p = malloc(n + !n);
    HQ_ASSERT(p);
    memcpy(p, header, head);
    memcpy(p + head, data + 1, size - 1);
    fuzz_log_init(&log);
    log.file.size = n;
    if (!hqs_open(&log.file, p, n)) {
        HQ_ASSERT(!head);
        fuzz_log_release(&log);
        free(p);
        return 0;
    }
    struct extent_info *x = log.file.all.items;
    x->entries = calloc(n / RECORD_MIN + 1, sizeof *x->entries);
    HQ_ASSERT(x->entries);
    fuzz_log_scan(&log, &s, x, 0, p, n);
    read_records(&s, x, n - (size_t)x->x.offset);
    outlog_entries_sort(x->entries, x->n_entries);
    hqs_finish_entries(x);
    check_runs(x);
    scan_release(&s);
    free(x->entries);
    free(x);
    fuzz_log_release(&log);
    return 0;
}
