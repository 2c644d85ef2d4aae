#include "model/job.h"

#include <signal.h>

const char *const task_state_words[TASK_STATE_COUNT] = {
    "waiting", "running", "finished", "failed", "canceled", "aborted"};
const char *const task_state_labels[TASK_STATE_COUNT] = {
    "WAITING", "RUNNING", "FINISHED", "FAILED", "CANCELED", "ABORTED"};
const char *const job_state_words[JOB_STATE_COUNT] = {
    "waiting", "running", "finished", "failed", "canceled", "aborted", "opened"};
const char *const job_state_labels[JOB_STATE_COUNT] = {
    "WAITING", "RUNNING", "FINISHED", "FAILED", "CANCELED", "ABORTED", "OPENED"};

#define BIT(s) (1u << (s))
static const uint8_t task_transitions[TASK_STATE_COUNT] = {
    /* A waiting task may end at once: its start and its end can arrive together. */
    [TASK_WAITING] = BIT(TASK_RUNNING) | BIT(TASK_FINISHED) | BIT(TASK_FAILED) |
                     BIT(TASK_CANCELED) | BIT(TASK_ABORTED),
    [TASK_RUNNING] = BIT(TASK_WAITING) | BIT(TASK_FINISHED) | BIT(TASK_FAILED) |
                     BIT(TASK_CANCELED) | BIT(TASK_ABORTED),
};

bool task_transition_legal(enum task_state from, enum task_state to)
{
    return from < TASK_STATE_COUNT && to < TASK_STATE_COUNT &&
           (task_transitions[from] & BIT(to)) != 0;
}

enum job_state job_state_of(const struct task_counts *counts, bool open)
{
    static const struct {
        enum task_state task;
        enum job_state job;
    } rules[] = {
        {TASK_RUNNING, JOB_RUNNING},   {TASK_WAITING, JOB_WAITING},
        {TASK_FAILED, JOB_FAILED},     {TASK_ABORTED, JOB_ABORTED},
        {TASK_CANCELED, JOB_CANCELED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
        if (counts->n[rules[i].task])
            return rules[i].job;
    return open ? JOB_OPENED : JOB_FINISHED;
}

void task_record_encode(const struct task_record *r, struct buf *out)
{
    buf_u8(out, r->state);
    buf_u8(out, r->variant);
    buf_u8(out, r->failure);
    buf_u8(out, r->flags);
    buf_u16(out, r->exit);
    buf_u16(out, r->crashes);
    buf_u32(out, r->worker);
    buf_u32(out, r->instance);
    buf_append(out, r->start, sizeof r->start);
    buf_append(out, r->end, sizeof r->end);
    buf_u32(out, r->user_ms);
    buf_u32(out, r->system_ms);
    buf_u32(out, r->max_rss_kib);
}

void task_record_decode(struct task_record *r, struct cursor *c)
{
    r->state = cursor_u8(c);
    r->variant = cursor_u8(c);
    r->failure = cursor_u8(c);
    r->flags = cursor_u8(c);
    r->exit = cursor_u16(c);
    r->crashes = cursor_u16(c);
    r->worker = cursor_u32(c);
    r->instance = cursor_u32(c);
    struct span s = cursor_take(c, sizeof r->start);
    if (s.n)
        memcpy(r->start, s.p, sizeof r->start);
    s = cursor_take(c, sizeof r->end);
    if (s.n)
        memcpy(r->end, s.p, sizeof r->end);
    r->user_ms = cursor_u32(c);
    r->system_ms = cursor_u32(c);
    r->max_rss_kib = cursor_u32(c);
    if (r->state >= TASK_STATE_COUNT || r->failure > FAILURE_MESSAGE)
        c->failed = true;
}

const char *signal_name(int sig)
{
    static const struct {
        int sig;
        const char *name;
    } names[] = {
        {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},   {SIGQUIT, "SIGQUIT"},
        {SIGILL, "SIGILL"},   {SIGTRAP, "SIGTRAP"}, {SIGABRT, "SIGABRT"},
        {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},   {SIGKILL, "SIGKILL"},
        {SIGUSR1, "SIGUSR1"}, {SIGSEGV, "SIGSEGV"}, {SIGUSR2, "SIGUSR2"},
        {SIGPIPE, "SIGPIPE"}, {SIGALRM, "SIGALRM"}, {SIGTERM, "SIGTERM"},
        {SIGCHLD, "SIGCHLD"}, {SIGCONT, "SIGCONT"}, {SIGSTOP, "SIGSTOP"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (names[i].sig == sig)
            return names[i].name;
    return "unknown";
}

void task_failure_print(const struct task_record *r, struct buf *out)
{
    switch ((enum task_failure)r->failure) {
    case FAILURE_EXIT:
        buf_printf(out, "Program terminated with exit code %d.", r->exit);
        break;
    case FAILURE_SIGNAL:
        buf_printf(out,
                   "Program terminated with exit code -1. Received signal %d (%s).",
                   r->exit, signal_name(r->exit));
        break;
    case FAILURE_TIME_LIMIT:
        buf_puts(out, "Time limit reached");
        break;
    case FAILURE_NONE:
    case FAILURE_MESSAGE:
        break;
    }
}
