#include "cli/session.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/log.h"
#include "client/access.h"
#include "client/requests.h"
#include "cli/values.h"

char *session_server_dir(const struct run *r)
{
    char *dir = access_server_dir(args_str(r->args, "server-dir"));
    HQ_ASSERT(dir);
    return dir;
}

int session_connect(const char *server_dir, struct client **c, struct error *err)
{
    struct access_part part;
    int rc = access_find(server_dir, &part, err);
    if (rc)
        return rc;
    if (!part.has_key)
        log_warn("No client key: Unauthenticated and unencrypted connection to server");
    return access_reach(server_dir, &part, 0, c, err);
}

int session_open(const struct run *r, struct client **c, struct error *err)
{
    char *dir = session_server_dir(r);
    int rc = session_connect(dir, c, err);
    free(dir);
    return rc;
}

int session_selector(const struct run *r, const char *name, struct buf *out,
                     struct error *err)
{
    struct selector s;
    int rc = selector_parse(args_str(r->args, name), &s, err);
    if (rc == 0) {
        selector_put(out, &s);
        selector_release(&s);
    }
    return rc;
}

struct job_ref session_job_ref(const struct run *r, const char *name)
{
    const char *text = args_str(r->args, name);
    if (strcmp(text, "last") == 0)
        return (struct job_ref){.last = true};
    return (struct job_ref){.id = args_u32(r->args, name, 0)};
}

int session_server_uid(struct client *c, char **uid, struct error *err)
{
    struct server_info info;
    int rc = client_server_info(c, &info, err);
    if (rc)
        return rc;
    *uid = info.uid;
    info.uid = NULL;
    server_info_release(&info);
    return 0;
}

uint32_t session_states(const struct run *r, const char *name)
{
    struct args_list list = args_list(r->args, name);
    uint32_t states = 0;
    for (size_t i = 0; i < list.n; i++)
        for (unsigned s = 0; s < JOB_STATE_COUNT; s++)
            if (strcmp(list.items[i], job_state_words[s]) == 0)
                states |= 1u << s;
    return list.n ? states : UINT32_MAX;
}

int output_table(struct output *o, struct table *t, struct error *err)
{
    int rc = table_render(t, &o->text);
    table_release(t);
    output_puts(o, ""); /* written out when it has become large */
    return rc ? error_nomem(err) : 0;
}

enum table_colour job_state_colour(enum job_state state)
{
    switch (state) {
    case JOB_WAITING:
    case JOB_OPENED:
        return TABLE_CYAN;
    case JOB_RUNNING:
        return TABLE_YELLOW;
    case JOB_FINISHED:
        return TABLE_GREEN;
    case JOB_FAILED:
        return TABLE_RED;
    case JOB_CANCELED:
        return TABLE_MAGENTA;
    case JOB_ABORTED:
        return TABLE_BLUE;
    case JOB_STATE_COUNT:
        break;
    }
    return TABLE_PLAIN;
}

enum table_colour task_state_colour(enum task_state state)
{
    static const enum job_state same[TASK_STATE_COUNT] = {
        [TASK_WAITING] = JOB_WAITING,   [TASK_RUNNING] = JOB_RUNNING,
        [TASK_FINISHED] = JOB_FINISHED, [TASK_FAILED] = JOB_FAILED,
        [TASK_CANCELED] = JOB_CANCELED, [TASK_ABORTED] = JOB_ABORTED,
    };
    return job_state_colour(same[state]);
}

void json_time(struct json *j, const char *key, uint64_t us)
{
    struct buf text = BUF_INIT(BUF_MAX_DEFAULT);
    time_print_rfc3339(us, &text);
    json_kstr(j, key, buf_cstr(&text));
    buf_release(&text);
}

void json_seconds(struct json *j, const char *key, uint64_t ns)
{
    json_kdouble(j, key, (double)ns / (double)NS_PER_S);
}

void json_seconds_or_null(struct json *j, const char *key, uint64_t ns)
{
    if (ns)
        json_seconds(j, key, ns == DURATION_ZERO_NS ? 0 : ns);
    else
        json_knull(j, key);
}

void duration_or(uint64_t ns, const char *word, struct buf *out)
{
    if (ns)
        duration_print(ns == DURATION_ZERO_NS ? 0 : ns, out);
    else
        buf_puts(out, word);
}
