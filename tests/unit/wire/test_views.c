/* What the server shows of its state: round trips, every cut, values out of range. */
#include "wire/views.h"

#include <stdlib.h>
#include "test_main.h"

#define NOW_US 1770000000123456u

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Views own their text after decoding; encoders only borrow. */
static char *text(const char *s)
{
    static char room[16][32];
    static size_t next;
    char *t = room[next++ % 16];
    (void)snprintf(t, sizeof room[0], "%s", s);
    return t;
}

static struct span span_of(const struct buf *b)
{
    return (struct span){b->data, b->len};
}

/* ---- server ---------------------------------------------------------------------- */

static void test_server_info(void)
{
    for (int journal = 0; journal < 2; journal++) {
        struct server_info i = {.uid = text("uid"),
                                .client_host = text("login1"),
                                .worker_host = text(""),
                                .version = text("0.30.0"),
                                .journal_path = journal ? text("/a/j") : NULL,
                                .client_port = 65535,
                                .worker_port = 1,
                                .pid = UINT32_MAX,
                                .started_us = UINT64_MAX},
                           got;
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        server_info_put(&b, &i);
        CU_ASSERT_EQUAL(server_info_get(span_of(&b), &got), 0);
        CU_ASSERT(same_text(got.uid, i.uid) && same_text(got.client_host, "login1") &&
                  same_text(got.worker_host, "") && same_text(got.version, "0.30.0") &&
                  same_text(got.journal_path, i.journal_path) &&
                  got.client_port == 65535 && got.worker_port == 1 &&
                  got.pid == UINT32_MAX && got.started_us == UINT64_MAX);
        server_info_release(&got);
        for (size_t n = 0; n < b.len; n++) {
            CU_ASSERT_EQUAL(server_info_get((struct span){b.data, n}, &got),
                            ERR_CORRUPT);
            CU_ASSERT_PTR_NULL(got.uid);
        }
        buf_release(&b);
    }
}

/* ---- jobs ------------------------------------------------------------------------ */

static struct job_info some_job(uint32_t id)
{
    struct job_info i = {.id = id,
                         .n_tasks = UINT32_MAX,
                         .open = id % 2,
                         .name = text(id % 3 ? "name" : ""),
                         .cancel_reason = id % 2 ? text("enough") : NULL};
    for (uint32_t s = 0; s < TASK_STATE_COUNT; s++)
        i.counts.n[s] = s * 1000000 + id;
    return i;
}

static bool same_job(const struct job_info *a, const struct job_info *b)
{
    return a->id == b->id && a->n_tasks == b->n_tasks && a->open == b->open &&
           same_text(a->name, b->name) &&
           same_text(a->cancel_reason, b->cancel_reason) &&
           memcmp(&a->counts, &b->counts, sizeof a->counts) == 0;
}

static void test_job_list(void)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct job_info got;
    size_t ends[6];
    for (uint32_t id = 0; id < 6; id++) {
        struct job_info i = some_job(id);
        job_info_put(&b, &i);
        ends[id] = b.len;
    }
    for (size_t n = 0; n <= b.len; n++) {
        struct cursor c = cursor_make(b.data, n);
        uint32_t id = 0;
        while (job_info_get(&c, &got)) {
            struct job_info want = some_job(id++);
            CU_ASSERT(same_job(&got, &want));
            job_info_release(&got);
        }
        CU_ASSERT_EQUAL(c.failed, n != (id ? ends[id - 1] : 0));
        CU_ASSERT(id == 6 || n < ends[id]);
    }
    buf_release(&b);
}

static void make_submit(struct buf *out)
{
    struct submit s;
    struct task_body body;
    const char *const words[] = {"prog", "arg"};
    submit_init(&s);
    task_body_init(&body);
    CU_ASSERT_EQUAL(request_default(&body.request), 0);
    s.submit_dir = strdup("/home/u");
    s.name = strdup("n");
    struct task_group g = {.first_id = 3, .count = 5};
    g.body = submit_add_body(&s, &body);
    g.argv = submit_add_argv(&s, words, 2);
    CU_ASSERT_NOT_EQUAL(submit_add_group(&s, &g), UINT32_MAX);
    submit_encode(&s, out);
    submit_release(&s);
}

static void test_job_detail(void)
{
    struct worker_name workers[] = {{1, text("node1")}, {UINT32_MAX, text("")}};
    struct buf submit = BUF_INIT(BUF_MAX_DEFAULT), b = BUF_INIT(BUF_MAX_DEFAULT);
    make_submit(&submit);
    struct span submits[2] = {span_of(&submit), span_of(&submit)};
    struct job_detail d = {.info = some_job(7),
                           .max_fails = -1,
                           .submitted_us = 5,
                           .finished_us = UINT64_MAX,
                           .workers = workers,
                           .n_workers = 2,
                           .n_submits = 2},
                      got;
    struct error err = ERROR_INIT;
    job_detail_put(&b, &d, submits);
    CU_ASSERT_EQUAL_FATAL(job_detail_get(span_of(&b), &got, &err), 0);
    CU_ASSERT(same_job(&got.info, &d.info) && got.max_fails == -1 &&
              got.submitted_us == 5 && got.finished_us == UINT64_MAX);
    CU_ASSERT_EQUAL_FATAL(got.n_workers, 2);
    CU_ASSERT(got.workers[0].id == 1 && same_text(got.workers[0].hostname, "node1") &&
              got.workers[1].id == UINT32_MAX &&
              same_text(got.workers[1].hostname, ""));
    CU_ASSERT_EQUAL_FATAL(got.n_submits, 2);
    CU_ASSERT_STRING_EQUAL(got.submits[1].submit_dir, "/home/u");
    CU_ASSERT_EQUAL(submit_task_count(&got.submits[1]), 5);
    job_detail_release(&got);
    for (size_t n = 0; n < b.len; n++) {
        err.text[0] = '\0';
        CU_ASSERT_EQUAL(job_detail_get((struct span){b.data, n}, &got, &err),
                        ERR_CORRUPT);
        CU_ASSERT(err.text[0] != '\0');
    }
    /* A submit that is none. */
    submits[1] = (struct span){(const uint8_t *)"\xff\xff", 2};
    buf_clear(&b);
    job_detail_put(&b, &d, submits);
    CU_ASSERT_EQUAL(job_detail_get(span_of(&b), &got, &err), ERR_CORRUPT);
    buf_release(&b);
    buf_release(&submit);
}

/* ---- tasks ----------------------------------------------------------------------- */

static struct task_view some_task(uint32_t slot)
{
    static const uint8_t nodes[] = {1, 0, 0, 0, 255, 255, 255, 255};
    struct task_view v = {.slot = slot,
                          .record = {.state = (uint8_t)(slot % TASK_STATE_COUNT),
                                     .exit = UINT16_MAX,
                                     .worker = slot,
                                     .instance = UINT32_MAX,
                                     .max_rss_kib = 77}};
    record_time_set(v.record.start, NOW_US);
    record_time_set(v.record.end, NOW_US + 1000000);
    if (slot % 2) {
        v.record.flags |= RECORD_MESSAGE;
        v.message = (struct span){(const uint8_t *)"text", slot % 5};
    }
    if (slot % 3 == 0) {
        v.record.flags |= RECORD_GANG;
        v.n_nodes = slot % 4 ? 2 : 0;
        v.nodes = nodes;
    }
    return v;
}

static void test_task_page(void)
{
    enum { N = 12 };
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct task_view got;
    size_t ends[N];
    for (uint32_t slot = 0; slot < N; slot++) {
        struct task_view v = some_task(slot);
        task_view_put(&b, &v);
        ends[slot] = b.len;
    }
    for (size_t n = 0; n <= b.len; n++) {
        struct cursor c = cursor_make(b.data, n);
        uint32_t slot = 0;
        while (task_view_get(&c, &got)) {
            struct task_view want = some_task(slot++);
            CU_ASSERT(got.slot == want.slot &&
                      memcmp(&got.record, &want.record, sizeof got.record) == 0 &&
                      got.message.n == want.message.n && got.n_nodes == want.n_nodes);
            CU_ASSERT(got.n_nodes == 0 || memcmp(got.nodes, want.nodes, 8) == 0);
        }
        CU_ASSERT_EQUAL(c.failed, n != (slot ? ends[slot - 1] : 0));
        CU_ASSERT(slot == N || n < ends[slot]);
    }
    buf_release(&b);
}

/* ---- workers --------------------------------------------------------------------- */

static void test_worker_info(void)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        struct worker_info i = {.id = UINT32_MAX,
                                .end = (uint8_t)(bits % WORKER_END_COUNT),
                                .started_us = 1,
                                .ended_us = UINT64_MAX,
                                .assigned = 2,
                                .running = 3,
                                .reserved = bits & 1,
                                .gang = (bits & 2) != 0,
                                .gang_root = (bits & 4) != 0,
                                .any_started = (bits & 8) != 0,
                                .last_job = 4,
                                .last_task = 5,
                                .last_us = 6},
                           got;
        struct hw_gpu gpu = {"07:00.0", 100, 200};
        i.load.nvidia = (struct hw_gpus){true, &gpu, 1};
        worker_config_init(&i.config);
        i.config.hostname = text("h");
        i.config.group = text("default");
        i.config.work_dir = text("/w");
        i.config.listen_address = text("h:0");
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        worker_info_put(&b, &i);
        CU_ASSERT_EQUAL_FATAL(worker_info_get(span_of(&b), &got), 0);
        CU_ASSERT(got.id == i.id && got.end == i.end && got.started_us == 1 &&
                  got.ended_us == UINT64_MAX && got.assigned == 2 && got.running == 3 &&
                  got.reserved == i.reserved && got.gang == i.gang &&
                  got.gang_root == i.gang_root && got.any_started == i.any_started &&
                  got.last_job == 4 && got.last_task == 5 && got.last_us == 6);
        CU_ASSERT(same_text(got.config.hostname, "h") &&
                  same_text(got.config.work_dir, "/w"));
        CU_ASSERT(got.load.nvidia.n == 1 && got.load.nvidia.gpus[0].memory == 200);
        worker_info_release(&got);
        /* A load may end in front of its GPUs: 12 bytes here. */
        for (size_t n = 0; n < b.len; n++) {
            int rc = worker_info_get((struct span){b.data, n}, &got);
            CU_ASSERT_EQUAL(rc, n == b.len - 13 ? 0 : ERR_CORRUPT);
            if (rc == 0)
                worker_info_release(&got);
        }
        b.data[5] = WORKER_END_COUNT; /* behind the five bytes of the id */
        CU_ASSERT_EQUAL(worker_info_get(span_of(&b), &got), ERR_CORRUPT);
        buf_release(&b);
    }
}

TEST_MAIN("views", TEST(test_server_info), TEST(test_job_list), TEST(test_job_detail),
          TEST(test_task_page), TEST(test_worker_info))
