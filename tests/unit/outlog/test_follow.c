#include "outlog/rig.h"

#include "outlog/seal.h"

#define N_TASKS 3u
#define N_PHASES 4u

/* What a task printed, and what the reader told of it. */
struct stream {
    struct buf printed, read;
    bool ended;
};

struct world {
    struct stream streams[N_PHASES * 2][N_TASKS][OUTLOG_N_CHANNELS]; /* [job - 1] */
    uint64_t last_us;
};

static struct stream *stream_of(struct world *w, const struct outlog_entry *e)
{
    CU_ASSERT_FATAL(e->key.job >= 1 && e->key.job <= N_PHASES * 2);
    CU_ASSERT_FATAL(e->key.task < N_TASKS);
    return &w->streams[e->key.job - 1][e->key.task][e->type == OUTLOG_BLOCK_STDERR];
}

static int on_block(void *arg, const struct outlog_ref *ref, const uint8_t *data,
                    struct error *err UNUSED)
{
    struct world *w = arg;
    struct stream *s = stream_of(w, &ref->e);
    buf_append(&s->read, data, ref->e.output);
    s->ended = s->ended || ref->e.flags & OUTLOG_FLAG_END;
    return 0;
}

/* Once so much time has passed, nothing unfinished is waited for any longer. */
#define PATIENCE_US 1500000u

static void look(struct outlog_follow *t, struct world *w, uint32_t passed_us)
{
    struct error err = ERROR_INIT;
    int rc;
    do {
        w->last_us += passed_us;
        rc = outlog_follow_poll(t, w->last_us, on_block, w, &err);
    } while (rc == 1);
    CU_ASSERT_EQUAL(rc, 0);
}

static void print_some(struct rig *r, struct world *w, struct rig_task *tasks,
                       uint32_t job, unsigned *seed)
{
    static char text[150000];
    *seed = *seed * 1103515245u + 12345u;
    uint32_t task = *seed >> 8 & 0xffff;
    size_t n = *seed % 50 == 0 ? sizeof text : *seed >> 4 & 1023;
    int channel = *seed >> 20 & 1;
    memset(text, 'a' + (int)(*seed >> 16) % 26, n);
    task %= N_TASKS;
    rig_print(r, &tasks[task], channel ? OUTLOG_STDERR : OUTLOG_STDOUT, text, n);
    buf_append(&w->streams[job - 1][task][channel].printed, text, n);
}

static void read_first(struct outlog_reader *reader, struct world *w)
{
    struct outlog_runs *it;
    struct outlog_run run;
    struct error err = ERROR_INIT;
    CU_ASSERT_EQUAL_FATAL(outlog_runs_create(&it, reader, &err), 0);
    while (outlog_runs_next(it, &run, &err) == 1)
        for (int c = 0; c < OUTLOG_N_CHANNELS; c++)
            rig_output(reader, &run, (enum outlog_channel)c,
                       &w->streams[run.job - 1][run.task][c].read);
    outlog_runs_destroy(it);
}

static void compare(struct world *w)
{
    for (unsigned job = 0; job < N_PHASES * 2; job++)
        for (unsigned task = 0; task < N_TASKS; task++) {
            bool ended = false;
            for (int c = 0; c < OUTLOG_N_CHANNELS; c++) {
                struct stream *s = &w->streams[job][task][c];
                CU_ASSERT_EQUAL(s->printed.len, s->read.len);
                CU_ASSERT(s->printed.len == s->read.len &&
                          (s->read.len == 0 ||
                           memcmp(s->printed.data, s->read.data, s->read.len) == 0));
                ended = ended || s->ended;
                buf_release(&s->printed);
                buf_release(&s->read);
            }
            CU_ASSERT(ended);
        }
}

static void one_phase(struct rig *a, struct rig *b, struct world *w, uint32_t phase,
                      struct outlog_reader **reader, struct outlog_follow **t,
                      struct rig_damage *damage)
{
    struct rig *rigs[] = {a, b};
    struct rig_task tasks[2][N_TASKS];
    struct error err = ERROR_INIT;
    unsigned seed = phase + 1;
    for (uint32_t k = 0; k < 2; k++) {
        rig_start(rigs[k], (struct outlog_writer_config){.compress = phase % 2 == 0});
        for (uint32_t i = 0; i < N_TASKS; i++)
            rig_begin(rigs[k], &tasks[k][i], 1 + 2 * phase + k, i, 0);
    }
    for (int i = 0; i < 300; i++) {
        for (uint32_t k = 0; k < 2; k++) {
            print_some(rigs[k], w, tasks[k], 1 + 2 * phase + k, &seed);
            rig_round(rigs[k], 0);
        }
        if (i == 150 && !*t) {
            *reader = rig_open(a->path, damage);
            CU_ASSERT_EQUAL_FATAL(outlog_follow_create(t, *reader, &err), 0);
            read_first(*reader, w);
        }
        if (*t && i % 7 == 0)
            look(*t, w, 1); /* their threads may be in the middle of a block */
    }
    for (uint32_t k = 0; k < 2; k++)
        for (uint32_t i = 0; i < N_TASKS; i++)
            rig_finish(rigs[k], &tasks[k][i], 0);
    for (uint32_t k = 0; k < 2; k++)
        for (uint32_t i = 0; i < N_TASKS; i++)
            CU_ASSERT(rig_until(rigs[k], &tasks[k][i].done));
}

/* Two writers at once, in several lives; one dies with its extent open, the log is
 * sealed in between: what the reader knew and what follows is each byte once. */
static void test_every_byte_once(void)
{
    static struct world w;
    struct rig a, b;
    struct outlog_reader *reader = NULL;
    struct outlog_follow *t = NULL;
    struct rig_damage damage;
    for (unsigned job = 0; job < N_PHASES * 2; job++)
        for (unsigned task = 0; task < N_TASKS; task++)
            for (int c = 0; c < OUTLOG_N_CHANNELS; c++) {
                buf_init(&w.streams[job][task][c].printed, BUF_MAX_DEFAULT);
                buf_init(&w.streams[job][task][c].read, BUF_MAX_DEFAULT);
            }
    rig_init(&a, "AbC123");
    b = a;
    b.worker = 2;
    b.server = &a.own_server;
    a.server = &a.own_server;
    for (uint32_t phase = 0; phase < N_PHASES; phase++) {
        one_phase(&a, &b, &w, phase, &reader, &t, &damage);
        rig_stop(&a);
        if (phase == 1)
            rig_crash(&b);
        else
            rig_stop(&b);
        struct outlog_seal_options o = {.now_us = 5};
        struct outlog_seal_result result;
        struct error err = ERROR_INIT;
        if (phase == 2)
            CU_ASSERT_EQUAL(outlog_seal(a.path, &o, &result, &err), 0);
        look(t, &w, PATIENCE_US);
    }
    look(t, &w, PATIENCE_US);
    compare(&w);
    CU_ASSERT_EQUAL(damage.n, 0);
    outlog_follow_destroy(t);
    outlog_reader_destroy(reader);
    rig_release(&a);
}

TEST_MAIN("follow", TEST(test_every_byte_once))
