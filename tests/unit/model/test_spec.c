/* Submits: builders, ids, entries, axes, and the checked encoding. */
#include "model/spec.h"

#include <stdlib.h>
#include "base/alloc_torture.h"
#include "test_main.h"

static char *copy_of(const char *s)
{
    char *p = strdup(s);
    CU_ASSERT_PTR_NOT_NULL_FATAL(p);
    return p;
}

/* ---- bodies ---------------------------------------------------------------------- */

static void test_environment(void)
{
    static const char *const keys[] = {"M", "A", "Z", "M", "AA", ""};
    struct task_body b;
    task_body_init(&b);
    CU_ASSERT_EQUAL(b.crash_limit, CRASH_LIMIT_DEFAULT);
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        char value[8];
        (void)snprintf(value, sizeof value, "%zu", i);
        CU_ASSERT_EQUAL(task_body_setenv(&b, keys[i], value), 0);
    }
    static const char *const want[][2] = {
        {"", "5"}, {"A", "1"}, {"AA", "4"}, {"M", "3"}, {"Z", "2"}};
    CU_ASSERT_EQUAL_FATAL(b.n_env, ARRAY_SIZE(want));
    for (size_t i = 0; i < b.n_env; i++) {
        CU_ASSERT_STRING_EQUAL(b.env[i].key, want[i][0]);
        CU_ASSERT_STRING_EQUAL(b.env[i].value, want[i][1]);
    }
    task_body_release(&b);
    CU_ASSERT_EQUAL(b.n_env, 0);
}

/* Every field set, to something that is not its default. */
static void fill_body(struct task_body *b)
{
    struct error err = ERROR_INIT;
    struct request_variant v = REQUEST_VARIANT_INIT;
    task_body_init(b);
    CU_ASSERT_EQUAL(task_body_setenv(b, "KEY", "value"), 0);
    CU_ASSERT_EQUAL(task_body_setenv(b, "ALSO", ""), 0);
    b->cwd = copy_of("work/%{TASK_ID}");
    b->out = (struct stdio_spec){
        .kind = STDIO_FILE, .rm_if_finished = true, .path = copy_of("o")};
    b->err = (struct stdio_spec){.kind = STDIO_NONE, .append = true};
    b->input = (uint8_t *)copy_of("in\nput");
    b->n_input = 6;
    b->input[2] = '\0'; /* any bytes */
    b->has_input = true;
    b->task_dir = b->log_replace = b->expand_args = b->shell = true;
    b->pin = PIN_OMP;
    b->membind = MEMBIND_STRICT;
    b->stream_kind = STREAM_FILE;
    b->stream = copy_of("/log");
    b->text_view = copy_of("/view");
    b->priority = INT32_MIN;
    b->crash_limit = CRASH_LIMIT_UNLIMITED;
    b->time_limit_ns = UINT64_MAX;
    b->max_output = UINT64_MAX;
    b->max_job_output = 77;
    b->keep_tail = true;
    CU_ASSERT_EQUAL(request_variant_add(&v, "gpus", POLICY_SCATTER, 15000, &err), 0);
    CU_ASSERT_EQUAL(request_add(&b->request, &v, &err), 0);
}

static void test_body_round_trip(void)
{
    struct task_body b, got;
    fill_body(&b);
    CU_ASSERT_EQUAL_FATAL(task_body_copy(&got, &b), 0);
    CU_ASSERT(got.n_env == 2 && !strcmp(got.env[1].key, "KEY") &&
              !strcmp(got.env[1].value, "value"));
    CU_ASSERT_STRING_EQUAL(got.cwd, "work/%{TASK_ID}");
    CU_ASSERT(got.out.kind == STDIO_FILE && got.out.rm_if_finished && !got.out.append);
    CU_ASSERT_STRING_EQUAL(got.out.path, "o");
    CU_ASSERT(got.err.kind == STDIO_NONE && !got.err.rm_if_finished && got.err.append &&
              !got.err.path);
    CU_ASSERT(got.has_input && got.n_input == 6 && !memcmp(got.input, "in\0put", 6));
    CU_ASSERT(got.task_dir && got.log_replace && got.expand_args && got.shell);
    CU_ASSERT(got.pin == PIN_OMP && got.membind == MEMBIND_STRICT &&
              got.stream_kind == STREAM_FILE);
    CU_ASSERT_STRING_EQUAL(got.stream, "/log");
    CU_ASSERT_STRING_EQUAL(got.text_view, "/view");
    CU_ASSERT(got.priority == INT32_MIN && got.crash_limit == CRASH_LIMIT_UNLIMITED &&
              got.time_limit_ns == UINT64_MAX);
    CU_ASSERT(got.max_output == UINT64_MAX && got.max_job_output == 77 &&
              got.keep_tail);
    CU_ASSERT(request_equal(&got.request, &b.request));
    /* One flag at a time comes back as itself. */
    for (int flag = 0; flag < 6; flag++) {
        struct task_body one, again;
        task_body_init(&one);
        CU_ASSERT_EQUAL(request_default(&one.request), 0);
        one.task_dir = flag == 0;
        one.log_replace = flag == 1;
        one.expand_args = flag == 2;
        one.shell = flag == 3;
        one.has_input = flag == 4;
        one.keep_tail = flag == 5;
        CU_ASSERT_EQUAL_FATAL(task_body_copy(&again, &one), 0);
        CU_ASSERT(again.task_dir == one.task_dir &&
                  again.log_replace == one.log_replace &&
                  again.expand_args == one.expand_args && again.shell == one.shell &&
                  again.has_input == one.has_input && again.n_input == 0 &&
                  again.keep_tail == one.keep_tail);
        task_body_release(&one);
        task_body_release(&again);
    }
    task_body_release(&b);
    task_body_release(&got);
}

static void test_bad_bodies(void)
{
    for (int what = 0; what < 9; what++) {
        struct task_body b, got;
        struct buf bytes = BUF_INIT(BUF_MAX_DEFAULT);
        fill_body(&b);
        switch (what) {
        case 0:
            b.pin = PIN_OFF + 1;
            break;
        case 1:
            b.membind = MEMBIND_STRICT + 1;
            break;
        case 2:
            b.stream_kind = STREAM_FILE + 1;
            break;
        case 3:
            b.err.kind = STDIO_STREAM + 1;
            break;
        case 4: /* a file without a path */
            b.err.kind = STDIO_FILE;
            break;
        case 5: /* a stream without a path */
            free(b.stream);
            b.stream = NULL;
            break;
        case 6: /* the order of the environment */
            b.env[0].key[0] = 'Z';
            break;
        case 7: /* a key twice */
            free(b.env[0].key);
            b.env[0].key = copy_of("KEY");
            break;
        default: /* a NUL inside a text */
            break;
        }
        task_body_encode(&b, &bytes);
        if (what == 8)
            bytes.data[3] = '\0';
        struct cursor c = cursor_make(bytes.data, bytes.len);
        CU_ASSERT_EQUAL(task_body_decode(&got, &c), ERR_CORRUPT);
        CU_ASSERT(c.failed && got.n_env == 0 && !got.cwd);
        buf_release(&bytes);
        task_body_release(&b);
    }
}

/* ---- entries and axes ------------------------------------------------------------ */

static void test_entries(void)
{
    static const char *const entries[] = {"", "one", "", "a longer one", ""};
    struct group_extra e;
    group_extra_init(&e);
    CU_ASSERT_EQUAL(group_extra_add_entry(&e, NULL, 0), 0);
    CU_ASSERT(e.has_entries && group_entry(&e, 0).n == 0);
    for (size_t i = 1; i < ARRAY_SIZE(entries); i++)
        CU_ASSERT_EQUAL(group_extra_add_entry(&e, entries[i], strlen(entries[i])), 0);
    CU_ASSERT_EQUAL(e.n_entries, ARRAY_SIZE(entries));
    for (uint32_t i = 0; i < ARRAY_SIZE(entries); i++) {
        struct span got = group_entry(&e, i);
        CU_ASSERT(got.p && got.n == strlen(entries[i]) &&
                  !memcmp(got.p, entries[i], got.n));
    }
    group_extra_release(&e);
}

static void add_axis(struct group_extra *e, const char *name, const char *const *values,
                     size_t n)
{
    struct axis *axes = realloc(e->axes, (e->n_axes + 1) * sizeof *axes);
    CU_ASSERT_PTR_NOT_NULL_FATAL(axes);
    e->axes = axes;
    struct axis *a = &axes[e->n_axes++];
    memset(a, 0, sizeof *a);
    a->name = copy_of(name);
    a->n_values = n;
    if (!values) {
        CU_ASSERT_EQUAL(idset_add(&a->numbers, 10, (uint32_t)n, 5), 0);
        return;
    }
    a->values = calloc(n, sizeof *a->values);
    for (size_t i = 0; i < n; i++)
        a->values[i] = copy_of(values[i]);
}

static void test_axes(void)
{
    static const char *const letters[] = {"a", "b"}, *const words[] = {"x", "", "z"};
    struct group_extra e;
    char number[AXIS_NUMBER_SIZE];
    group_extra_init(&e);
    add_axis(&e, "letter", letters, 2);
    add_axis(&e, "number", NULL, 2);
    add_axis(&e, "word", words, 3);
    for (uint32_t i = 0; i < 12; i++) { /* the last axis runs fastest */
        CU_ASSERT_EQUAL(axis_value_index(&e, 0, i), i / 6);
        CU_ASSERT_EQUAL(axis_value_index(&e, 1, i), i / 3 % 2);
        CU_ASSERT_EQUAL(axis_value_index(&e, 2, i), i % 3);
    }
    CU_ASSERT_STRING_EQUAL(axis_value(&e.axes[0], 1, number), "b");
    CU_ASSERT_STRING_EQUAL(axis_value(&e.axes[1], 1, number), "15");
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    group_extra_encode(&e, &b);
    for (uint32_t count = 0; count < 30; count++) {
        struct group_extra got;
        struct cursor c = cursor_make(b.data, b.len);
        int rc = group_extra_decode(&got, count, &c);
        CU_ASSERT_EQUAL(rc, count == 12 ? 0 : ERR_CORRUPT);
        if (rc == 0) {
            CU_ASSERT_EQUAL(got.n_axes, 3);
            CU_ASSERT_STRING_EQUAL(axis_value(&got.axes[1], 0, number), "10");
            CU_ASSERT_STRING_EQUAL(axis_value(&got.axes[2], 2, number), "z");
            group_extra_release(&got);
        }
    }
    buf_release(&b);
    group_extra_release(&e);
}

static void test_too_many_axes(void)
{
    static const char *const one[] = {"1"};
    struct group_extra e, got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    group_extra_init(&e);
    for (size_t i = 0; i <= AXES_MAX; i++) {
        add_axis(&e, "a", one, 1);
        buf_clear(&b);
        group_extra_encode(&e, &b);
        struct cursor c = cursor_make(b.data, b.len);
        CU_ASSERT_EQUAL(group_extra_decode(&got, 1, &c),
                        i < AXES_MAX ? 0 : ERR_CORRUPT);
        if (i < AXES_MAX)
            group_extra_release(&got);
    }
    buf_release(&b);
    group_extra_release(&e);
}

/* ---- submits --------------------------------------------------------------------- */

/* Three groups: plain, with an id set and entries, with needs on both. */
static void make_submit(struct submit *s)
{
    static const char *const words[] = {"prog", "", "last"}, *const one[] = {"other"};
    struct task_body b;
    struct group_extra e;
    submit_init(s);
    fill_body(&b);
    s->name = copy_of("job");
    s->submit_dir = copy_of("/home/u");
    s->max_fails = UINT32_MAX;
    s->graph = true;
    struct task_group g = {.first_id = 5, .count = 4};
    g.body = submit_add_body(s, &b);
    CU_ASSERT_EQUAL(b.n_env, 0); /* taken */
    g.argv = submit_add_argv(s, words, 3);
    g.name = submit_add_text(s, "first");
    CU_ASSERT_EQUAL(submit_add_group(s, &g), 0);
    group_extra_init(&e);
    CU_ASSERT_EQUAL(idset_add(&e.ids, 20, 2, 3), 0);
    CU_ASSERT_EQUAL(idset_add(&e.ids, 30, 2, 1), 0);
    for (int i = 0; i < 4; i++)
        CU_ASSERT_EQUAL(group_extra_add_entry(&e, "entry", (size_t)i), 0);
    g = (struct task_group){.first_id = 20, .count = 4, .body = 0};
    g.extra = submit_add_extra(s, &e) + 1;
    g.argv = submit_add_argv(s, one, 1);
    CU_ASSERT_EQUAL(submit_add_group(s, &g), 1);
    g = (struct task_group){.first_id = 40, .count = 4, .argv = g.argv};
    CU_ASSERT_EQUAL(submit_add_group(s, &g), 2);
    CU_ASSERT_EQUAL(submit_add_need(s, NEED_GROUP, 0), 0);
    CU_ASSERT_EQUAL(submit_add_need(s, NEED_EACH, 1), 0);
    CU_ASSERT_EQUAL(submit_add_need(s, NEED_TASK, 7), 0);
}

static void check_submit(const struct submit *s)
{
    size_t n;
    char **words = submit_argv(s, s->groups[0].argv, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(words);
    CU_ASSERT(n == 3 && !strcmp(words[0], "prog") && !strcmp(words[1], "") &&
              !strcmp(words[2], "last") && !words[3]);
    free(words);
    CU_ASSERT_STRING_EQUAL(s->name, "job");
    CU_ASSERT_STRING_EQUAL(s->submit_dir, "/home/u");
    CU_ASSERT(s->max_fails == UINT32_MAX && s->graph && !s->auto_ids && s->job == 0);
    CU_ASSERT(s->n_bodies == 1 && s->n_groups == 3 && s->n_extras == 1 &&
              s->n_needs == 3);
    CU_ASSERT_STRING_EQUAL(submit_text(s, s->groups[0].name), "first");
    CU_ASSERT_PTR_NULL(submit_text(s, s->groups[1].name));
    CU_ASSERT_EQUAL(submit_task_count(s), 12);
    CU_ASSERT(s->groups[2].needs == 0 && s->groups[2].n_needs == 3 &&
              s->groups[1].n_needs == 0);
    CU_ASSERT(s->needs[1].kind == NEED_EACH && s->needs[1].value == 1);
    CU_ASSERT_EQUAL(group_entry(&s->extras[0], 3).n, 3);
}

static void test_submit_round_trip(void)
{
    struct submit s, got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    make_submit(&s);
    check_submit(&s);
    submit_encode(&s, &b);
    struct cursor c = cursor_make(b.data, b.len);
    CU_ASSERT_EQUAL_FATAL(submit_decode(&got, &c, &err), 0);
    CU_ASSERT_EQUAL(cursor_left(&c), 0);
    check_submit(&got);
    submit_release(&got);
    for (size_t n = 0; n < b.len; n++) {
        c = cursor_make(b.data, n);
        CU_ASSERT_EQUAL(submit_decode(&got, &c, &err), ERR_CORRUPT);
        CU_ASSERT_STRING_EQUAL(err.text, "malformed description of a submit");
        CU_ASSERT(got.n_groups == 0 && !got.groups && !got.text.data);
    }
    buf_release(&b);
    submit_release(&s);
}

static void test_ids(void)
{
    struct submit s;
    make_submit(&s);
    static const uint32_t ids[3][4] = {
        {5, 6, 7, 8}, {20, 23, 30, 31}, {40, 41, 42, 43}};
    for (size_t g = 0; g < 3; g++) {
        struct idset all = IDSET_INIT;
        CU_ASSERT_EQUAL(group_ids(&s, &s.groups[g], &all), 0);
        CU_ASSERT_EQUAL(idset_count(&all), 4);
        for (uint32_t i = 0; i < 4; i++) {
            CU_ASSERT_EQUAL(group_id_at(&s, &s.groups[g], i), ids[g][i]);
            CU_ASSERT_EQUAL(group_index_of(&s, &s.groups[g], ids[g][i]), i);
            CU_ASSERT_EQUAL(idset_at(&all, i), ids[g][i]);
        }
        idset_release(&all);
    }
    static const uint32_t none[] = {0,  4,  9,  19, 21, 22,
                                    26, 29, 32, 39, 44, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(none); i++)
        for (size_t g = 0; g < 3; g++)
            CU_ASSERT_EQUAL(group_index_of(&s, &s.groups[g], none[i]), UINT32_MAX);
    submit_release(&s);
}

/* Everything that a decoder must refuse because later code relies on it. */
static void test_bad_submits(void)
{
    for (int what = 0; what < 18; what++) {
        struct submit s, got;
        struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
        struct error err = ERROR_INIT;
        make_submit(&s);
        struct task_group *g = s.groups;
        switch (what) {
        case 0:
            g[0].body = 1;
            break;
        case 1:
            g[0].argv = 0;
            break;
        case 2:
            g[0].argv = (uint32_t)s.text.len;
            break;
        case 3: /* words, but no text */
            g[0].argv = (uint32_t)s.text.len;
            buf_append(&s.text, "\1", 1);
            break;
        case 4: /* more words than texts */
            g[0].argv = (uint32_t)s.text.len;
            buf_append(&s.text, "\3a\0b", 5);
            break;
        case 5: /* the last word has no end */
            g[0].argv = (uint32_t)s.text.len;
            buf_append(&s.text, "\1abc", 4);
            break;
        case 6:
            g[0].name = (uint32_t)s.text.len;
            break;
        case 7:
            buf_append(&s.text, "abc", 3);
            g[0].name = (uint32_t)s.text.len - 1;
            break;
        case 8: /* tasks of all groups */
            g[0].count = SUBMIT_TASKS_MAX - 7;
            g[0].first_id = 0;
            break;
        case 9: /* ids beyond the largest */
            g[0].first_id = IDSET_ID_MAX - 2;
            break;
        case 10: /* entries and ids of another count */
            g[1].count = 3;
            break;
        case 11:
            s.needs[0].value = 3;
            break;
        case 12: /* itself */
            s.needs[0].value = 2;
            break;
        case 13: /* EACH of another size */
            g[2].count = 3;
            break;
        case 14:
            s.needs[2].kind = NEED_TASK + 1;
            break;
        case 15: /* needs that belong to no group */
            g[2].n_needs = 2;
            break;
        case 16:
            g[1].n_needs = 1;
            break;
        default:
            s.max_fails = -2;
            break;
        }
        submit_encode(&s, &b);
        struct cursor c = cursor_make(b.data, b.len);
        int rc = submit_decode(&got, &c, &err);
        CU_ASSERT_EQUAL(rc, ERR_CORRUPT);
        if (rc == 0) {
            (void)printf("\n    case %d was taken\n", what);
            submit_release(&got);
        }
        buf_release(&b);
        submit_release(&s);
    }
}

static void test_without_submit_dir(void)
{
    struct submit s, got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    make_submit(&s);
    free(s.submit_dir);
    s.submit_dir = NULL;
    submit_encode(&s, &b);
    struct cursor c = cursor_make(b.data, b.len);
    CU_ASSERT_EQUAL(submit_decode(&got, &c, &err), ERR_CORRUPT);
    buf_release(&b);
    submit_release(&s);
}

/* No allocation that fails may leak or crash. */
static void test_memory(void)
{
    struct submit s, got;
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    if (!alloc_torture_works())
        return;
    make_submit(&s);
    submit_encode(&s, &b);
    for (long nth = 1;; nth++) {
        long live = alloc_live;
        struct cursor c = cursor_make(b.data, b.len);
        alloc_fail_at(nth);
        int rc = submit_decode(&got, &c, NULL);
        bool failed = alloc_failed();
        /* One that is tried again in another way may fail without harm. */
        if (rc == 0)
            submit_release(&got);
        CU_ASSERT_EQUAL(alloc_live, live);
        if (!failed) {
            CU_ASSERT(rc == 0 && nth > 20);
            break;
        }
    }
    buf_release(&b);
    submit_release(&s);
}

/* An array of a million tasks costs no more than one task. */
static void test_size_of_an_array(void)
{
    static const char *const words[] = {"true"};
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    struct submit s;
    struct task_body body;
    submit_init(&s);
    task_body_init(&body);
    CU_ASSERT_EQUAL(request_default(&body.request), 0);
    s.submit_dir = copy_of("/home/u");
    struct task_group g = {.first_id = 1, .count = 1000000};
    g.body = submit_add_body(&s, &body);
    g.argv = submit_add_argv(&s, words, 1);
    CU_ASSERT_EQUAL(submit_add_group(&s, &g), 0);
    submit_encode(&s, &b);
    CU_ASSERT(b.len < 100);
    CU_ASSERT(sizeof(struct task_group) == 32);
    buf_release(&b);
    submit_release(&s);
}

static void test_equal_commands_are_kept_once(void)
{
    static const char *const words[] = {"run", "a"};
    struct submit s;
    struct task_group g = {.count = 1};
    submit_init(&s);
    g.argv = submit_add_argv(&s, words, 2);
    (void)submit_add_group(&s, &g);
    size_t size = s.text.len;
    CU_ASSERT_EQUAL(submit_add_argv(&s, words, 2), g.argv);
    CU_ASSERT_EQUAL(s.text.len, size);
    CU_ASSERT_NOT_EQUAL(submit_add_argv(&s, words, 1), g.argv);
    CU_ASSERT_NOT_EQUAL(submit_add_argv(&s, words + 1, 1), g.argv);
    CU_ASSERT(s.text.len > size);
    submit_release(&s);
}

TEST_MAIN("spec", TEST(test_environment), TEST(test_body_round_trip),
          TEST(test_bad_bodies), TEST(test_entries), TEST(test_axes),
          TEST(test_too_many_axes), TEST(test_submit_round_trip), TEST(test_ids),
          TEST(test_bad_submits), TEST(test_without_submit_dir), TEST(test_memory),
          TEST(test_size_of_an_array), TEST(test_equal_commands_are_kept_once))
