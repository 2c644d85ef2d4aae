/* The bytes of docs/format-journal.md: file, records, and events as the server makes
 * them. */
#include "document.h"
#include "model/event.h"
#include "model/job.h"
#include "model/placement.h"
#include "model/spec.h"
#include "model/worker.h"
#include "rig.h"

#define TIME_US (RIG_CREATED_US + 2)

static void check_file(struct document *d)
{
    struct rig r;
    struct buf event = BUF_INIT(BUF_MAX_DEFAULT), record = BUF_INIT(BUF_MAX_DEFAULT);
    rig_make(&r);
    rig_open(&r);
    event_begin(&event, EVENT_SERVER_START, RIG_CREATED_US + 1);
    buf_str(&event, RIG_UID);
    buf_str(&event, "1.0");
    buf_bytes(&record, event.data, event.len);
    (void)journal_append(r.j, record.data, record.len);
    rig_close(&r);
    struct buf file = rig_bytes(&r);
    CU_ASSERT_FATAL(file.len > JOURNAL_HEADER_SIZE);
    document_check(d, "header", file.data, JOURNAL_HEADER_SIZE);
    document_check(d, "record", file.data + JOURNAL_HEADER_SIZE,
                   file.len - JOURNAL_HEADER_SIZE);
    buf_release(&file);
    buf_release(&event);
    buf_release(&record);
    rig_drop(&r);
}

static void check_jobs(struct document *d)
{
    static const char *const words[] = {"true"};
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&b, EVENT_JOB_OPENED, TIME_US);
    buf_u32(&b, 3);
    buf_str(&b, "n");
    buf_zigzag(&b, -1);
    buf_str(&b, "/d");
    document_check_buf(d, "event-opened", &b);
    event_begin(&b, EVENT_JOB_CANCELED, TIME_US);
    buf_u32(&b, 3);
    buf_str(&b, "why");
    document_check_buf(d, "event-canceled", &b);
    struct submit s;
    struct task_body body;
    submit_init(&s);
    task_body_init(&body);
    CU_ASSERT_EQUAL(request_default(&body.request), 0);
    CU_ASSERT_EQUAL(task_body_setenv(&body, "KEY", "value"), 0);
    s.name = strdup("true");
    s.submit_dir = strdup("/d");
    struct task_group g = {.first_id = 1, .count = 1000000};
    g.body = submit_add_body(&s, &body);
    g.argv = submit_add_argv(&s, words, 1);
    CU_ASSERT_EQUAL(submit_add_group(&s, &g), 0);
    event_begin(&b, EVENT_JOB_SUBMITTED, TIME_US);
    buf_u32(&b, 1);
    submit_encode(&s, &b);
    document_check_buf(d, "event-submitted", &b);
    submit_release(&s);
    buf_release(&b);
}

static void check_tasks(struct document *d)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&b, EVENT_TASKS_STARTED, TIME_US);
    buf_u32(&b, 2);
    struct task_start start = {.job = 1, .slot = 5, .start_us = RIG_CREATED_US};
    task_start_encode(&start, &b);
    document_check_buf(d, "event-started", &b);
    event_begin(&b, EVENT_TASKS_ENDED, TIME_US);
    buf_u32(&b, 2);
    struct task_end_writer w;
    struct task_end e = {.job = 1,
                         .slot = 5,
                         .state = TASK_FINISHED,
                         .started = true,
                         .start_us = RIG_CREATED_US,
                         .end_us = RIG_CREATED_US + 50,
                         .user_ms = 1,
                         .max_rss_kib = 3000};
    task_end_writer_init(&w, &b);
    task_end_write_run(&w, &e, 5);
    e = (struct task_end){.job = 1,
                          .slot = 10,
                          .instance = 1,
                          .state = TASK_FAILED,
                          .failure = FAILURE_EXIT,
                          .exit = 3,
                          .started = true,
                          .released = true,
                          .start_us = RIG_CREATED_US,
                          .end_us = RIG_CREATED_US + 50};
    task_end_write(&w, &e);
    task_end_writer_finish(&w);
    document_check_buf(d, "event-ended", &b);
    event_begin(&b, EVENT_TASKS_RESTARTED, TIME_US);
    struct task_restart restart = {.job = 1, .slot = 11, .instance = 2, .crashes = 1};
    task_restart_encode(&restart, &b);
    document_check_buf(d, "event-restarted", &b);
    buf_release(&b);
}

static void check_others(struct document *d)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    event_begin(&b, EVENT_WORKER_LOST, TIME_US);
    buf_u32(&b, 2);
    buf_u8(&b, WORKER_HEARTBEAT_LOST);
    document_check_buf(d, "event-lost", &b);
    event_begin(&b, EVENT_LOG_MARK, TIME_US);
    buf_str(&b, "/d/l");
    buf_bytes(&b, "\1\2", 2);
    buf_varint(&b, 65536);
    document_check_buf(d, "event-mark", &b);
    struct placement_entry cpus = {(char *)"cpus", (char *)"3,2", 2 * AMOUNT_ONE};
    struct placement where = {.binding = PLACED_IN_DOMAINS,
                              .memory = PLACED_MEMORY_PREFERRED,
                              .cpus = (char *)"0-3",
                              .nodes = (char *)"0",
                              .entries = &cpus,
                              .n_entries = 1};
    event_begin(&b, EVENT_PLACEMENT, TIME_US);
    buf_u32(&b, 1);
    placement_encode(&where, &b);
    document_check_buf(d, "event-placement", &b);
    buf_release(&b);
}

static void test_document(void)
{
    struct document d;
    document_open(&d, "../../docs/format-journal.md");
    check_file(&d);
    check_jobs(&d);
    check_tasks(&d);
    check_others(&d);
    document_close(&d);
}

TEST_MAIN("journal format", TEST(test_document))
