/*
 * The seal of an output log: state slot, tree and job table. Bits of byte 0: 1:
 * checksums are made right, so that the decoders behind them are reached; 2: the blocks
 * are packed. Then u32, the task that is looked for; the rest are patches
 * (fuzz_outlog_image.h) to slots and index of a good log. A slot that is accepted
 * encodes to the same.
 */
#include "fuzz_outlog.h"
#include "fuzz_outlog_image.h"

#define INPUT_MAX 4096
#define TASKS 40u
#define ENTRIES_MAX 12
#define INDEX (UINT64_C(1) << OUTLOG_ALIGN_LOG2_MIN)
/* The sealer fills its pages. These are small, so that a small log has three levels and
 * a task is found by reading a little. */
#define LEAF_ENTRIES 6
#define INNER_ENTRIES 4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct image images[2];

/* ---- making ------------------------------------------------------------------------
 */

struct tree {
    struct image *im;
    uint64_t pos;
    struct page_builder page;
    struct page_builder pages[TASKS]; /* of the level so far */
    uint64_t offsets[TASKS];
    size_t n;
};

static void put_page(struct tree *t)
{
    t->offsets[t->n] = t->pos;
    size_t len = page_finish(&t->page, t->im->seed, t->pos);
    (void)image_put_bytes(&t->im->fd, t->pos, t->page.page, len, NULL);
    t->pages[t->n++] = t->page;
    t->pos += len;
    page_begin(&t->page, t->page.kind);
}

static void put_leaves(struct tree *t)
{
    struct outlog_reader *r;
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    HQ_ASSERT(outlog_reader_open(&r, t->im->path, NULL, &err) == 0);
    HQ_ASSERT(outlog_runs_create(&it, r, &err) == 0);
    page_begin(&t->page, OUTLOG_PAGE_LEAF);
    while (outlog_runs_next(it, &run, &err) == 1)
        for (size_t i = 0; i < run.n_refs; i++) {
            HQ_ASSERT(page_add(&t->page, &run.refs[i].e));
            if (t->page.count == LEAF_ENTRIES)
                put_page(t);
        }
    put_page(t);
    outlog_runs_destroy(it);
    outlog_reader_destroy(r);
}

static void put_inner(struct tree *t, uint32_t level)
{
    static struct tree below;
    below = *t;
    t->n = 0;
    page_begin(&t->page, (uint8_t)level);
    for (size_t i = 0; i < below.n; i++) {
        HQ_ASSERT(page_add_inner(&t->page, &below.pages[i].first, below.offsets[i],
                                 (uint32_t)below.pages[i].len));
        if (t->page.count == INNER_ENTRIES)
            put_page(t);
    }
    if (t->page.count)
        put_page(t);
}

static void put_jobs(struct tree *t)
{
    page_begin(&t->page, OUTLOG_PAGE_JOBS);
    for (uint32_t job = 1; job <= 2; job++) {
        struct outlog_job_row row = {.job = job, .n_instances = TASKS / 2};
        uint8_t raw[OUTLOG_JOB_ROW_BYTES];
        outlog_job_row_encode(&row, raw);
        HQ_ASSERT(page_add_raw(&t->page, raw, sizeof raw));
    }
    put_page(t);
}

static void seal(struct image *im)
{
    static struct tree t;
    uint8_t raw[OUTLOG_SLOT_BYTES];
    struct outlog_slot s = {
        .generation = 1, .covered_end = INDEX, .index_extent = INDEX};
    t = (struct tree){.im = im, .pos = INDEX + OUTLOG_EXTENT_HEADER_BYTES};
    s.leaves = t.pos;
    put_leaves(&t);
    s.leaves_bytes = t.pos - s.leaves;
    for (s.levels = 1; t.n > 1; s.levels++)
        put_inner(&t, s.levels);
    HQ_ASSERT(s.levels >= 3);
    s.root = t.offsets[0];
    s.root_bytes = (uint32_t)t.pages[0].len;
    s.jobs = t.pos;
    put_jobs(&t);
    s.jobs_bytes = t.pos - s.jobs;
    outlog_slot_encode(&s, im->seed, OUTLOG_SLOT_A, raw);
    (void)image_put_bytes(&im->fd, OUTLOG_SLOT_A, raw, sizeof raw, NULL);
}

/* What may be patched: slots and index. */
static void keep_seal(struct image *im)
{
    size_t n = 0;
    for (size_t i = 0; i < im->n_places; i++)
        if (im->places[i] >= INDEX ||
            (im->places[i] >= OUTLOG_SLOT_A && im->places[i] < OUTLOG_DATA_START))
            im->places[n++] = im->places[i];
    im->n_places = n;
}

static void prepare(void)
{
    if (images[0].map)
        return;
    for (int i = 0; i < 2; i++) { /* the second one is packed */
        image_make(&images[i], i, TASKS);
        seal(&images[i]);
        image_map(&images[i]);
        keep_seal(&images[i]);
    }
}

/* ---- reading -----------------------------------------------------------------------
 */

static void check_slot(const struct outlog_slot *s, const uint8_t *at, uint64_t seed)
{
    uint8_t again[OUTLOG_SLOT_BYTES];
    outlog_slot_encode(s, seed, OUTLOG_SLOT_A, again);
    HQ_ASSERT(memcmp(again + 8, at + 8, 68) == 0);
    HQ_ASSERT(memcmp(again + 80, at + 80, 104) == 0);
}

/* A few entries from the task on; the block of the first one. */
static void read_tree(struct outlog_reader *r, uint32_t task)
{
    struct source s;
    struct outlog_key from = {1, task, 0, 0};
    HQ_ASSERT(source_init(&s, SOURCE_TREE, r->files[0], NULL, &from));
    for (int n = 0; n < ENTRIES_MAX && source_next(&s); n++) {
        struct outlog_ref ref = {s.e, 0};
        struct outlog_end end;
        const uint8_t *p;
        size_t bytes;
        HQ_ASSERT(s.next <= s.end && s.e.type <= OUTLOG_BLOCK_EVENT);
        if (n > 0 || outlog_read_block(r, &ref, &p, &bytes) < 0)
            continue;
        HQ_ASSERT(bytes == ref.e.output);
        fuzz_touch(p, bytes);
        if (ref.e.flags & OUTLOG_FLAG_END)
            (void)!outlog_read_end(r, &ref, &end);
    }
    HQ_ASSERT(s.bad == r->files[0]->seal_bad);
    source_release(&s);
}

static void read_jobs(const struct image *im, const struct outlog_slot *s)
{
    uint64_t at = s->jobs, end = MIN(s->jobs + s->jobs_bytes, im->len);
    struct page_cursor pc;
    while (at < end && page_open(&pc, im->map + at, end - at, im->seed, at)) {
        struct outlog_job_row row;
        while (page_next_job(&pc, &row)) {
            uint8_t again[OUTLOG_JOB_ROW_BYTES];
            outlog_job_row_encode(&row, again);
            HQ_ASSERT(memcmp(again, pc.c.p - sizeof again, 56) == 0);
        }
        at += pc.length;
    }
}

static void read_all(const struct image *im, uint32_t task)
{
    struct fuzz_log log;
    const uint8_t *slot = im->map + OUTLOG_SLOT_A;
    fuzz_log_init(&log);
    struct logfile sealed = log.file;
    sealed.fd = im->fd;
    sealed.size = im->len;
    sealed.seed = im->seed;
    if (outlog_slot_decode(slot, OUTLOG_SLOT_BYTES, im->seed, OUTLOG_SLOT_A,
                           &sealed.slot)) {
        struct outlog_reader *r = log.reader;
        sealed.sealed = true;
        check_slot(&sealed.slot, slot, im->seed);
        read_jobs(im, &sealed.slot);
        r->files = calloc(1, sizeof(void *));
        HQ_ASSERT(r->files);
        r->files[0] = logfile_share(r, &sealed);
        HQ_ASSERT(r->files[0]);
        r->n_files = 1;
        read_tree(r, task);
    }
    fuzz_log_release(&log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_make(data, size);
    if (size > INPUT_MAX)
        return 0;
    prepare();
    uint8_t how = cursor_u8(&c);
    uint32_t task = cursor_u32(&c);
    struct image *im = &images[how >> 1 & 1];
    image_patch(im, how & 1, &c);
    read_all(im, task);
    image_restore(im);
    return 0;
}
