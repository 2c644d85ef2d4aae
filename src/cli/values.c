#include "cli/values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/duration.h"
#include "base/number.h"
#include "base/text.h"
#include "base/xmem.h"
#include "client/requests.h"
#include "model/alloc.h"
#include "submit/fields.h"
#include "topo/topo.h"

/* --- numbers ------------------------------------------------------------ */

int value_check_u32(const char *text, struct error *err)
{
    int64_t v = 0;
    return number_parse_i64(text, 0, UINT32_MAX, &v, err);
}

int value_check_positive(const char *text, struct error *err)
{
    int64_t v = 0;
    int rc = number_parse_i64(text, 0, UINT32_MAX, &v, err);
    if (rc == 0 && v == 0)
        return error_set(err, ERR_PARSE, "has to be at least 1");
    return rc;
}

int value_check_i32(const char *text, struct error *err)
{
    int64_t v = 0;
    return number_parse_i64(text, INT32_MIN, INT32_MAX, &v, err);
}

int value_check_port(const char *text, struct error *err)
{
    int64_t v = 0;
    int rc = number_parse_i64(text, INT64_MIN, INT64_MAX, &v, err);
    if (rc == 0 && (v < 0 || v > UINT16_MAX))
        return error_set(err, ERR_PARSE, "%lld is not in 0..=65535", (long long)v);
    return rc;
}

int value_check_utilization(const char *text, struct error *err)
{
    double v = 0;
    int rc = number_parse_double(text, &v, err);
    if (rc == 0 && !(v >= 0 && v <= 1))
        return error_set(err, ERR_PARSE,
                         "Minimal utilization has to be in the interval [0.0, 1.0].");
    return rc;
}

int value_check_weight(const char *text, struct error *err)
{
    uint64_t weight;
    return weight_parse(text, &weight, err);
}

int value_check_size(const char *text, struct error *err)
{
    uint64_t bytes;
    return text_parse_size(text, &bytes, err);
}

/* --- durations ---------------------------------------------------------- */

int value_check_duration(const char *text, struct error *err)
{
    uint64_t ns;
    return duration_parse(text, &ns, err);
}

int value_check_duration_units(const char *text, struct error *err)
{
    uint64_t ns;
    return duration_parse_units(text, &ns, err);
}

int value_check_heartbeat(const char *text, struct error *err)
{
    uint64_t ns;
    int rc = duration_parse(text, &ns, err);
    if (rc == 0 && ns <= HEARTBEAT_MIN_MS * NS_PER_MS)
        return error_set(err, ERR_PARSE, "Heartbeat has to be longer than %dms",
                         HEARTBEAT_MIN_MS);
    return rc;
}

int server_lost_parse(const char *text, enum server_lost_policy *policy, uint64_t *ns,
                      struct error *err)
{
    static const char word[] = "reconnect";
    *ns = 0;
    *policy = LOST_RECONNECT;
    if (strcmp(text, "stop") == 0) {
        *policy = LOST_STOP;
        return 0;
    }
    if (strcmp(text, "finish-running") == 0) {
        *policy = LOST_FINISH_RUNNING;
        return 0;
    }
    size_t len = strlen(word);
    if (strncmp(text, word, len) || (text[len] && text[len] != ':'))
        return error_set(err, ERR_NOT_FOUND, "unknown policy '%s'", text);
    return text[len] ? duration_parse(text + len + 1, ns, err) : 0;
}

int value_check_server_lost(const char *text, struct error *err)
{
    enum server_lost_policy policy;
    uint64_t ns;
    return server_lost_parse(text, &policy, &ns, err);
}

/* --- ids ---------------------------------------------------------------- */

int value_check_idset(const char *text, struct error *err)
{
    struct idset ids = IDSET_INIT;
    int rc = idset_parse(&ids, text, err);
    idset_release(&ids);
    return rc;
}

int selector_parse(const char *text, struct selector *s, struct error *err)
{
    *s = (struct selector){.kind = SELECT_IDS};
    if (strcmp(text, "last") == 0)
        s->kind = SELECT_LAST;
    else if (strcmp(text, "all") == 0)
        s->kind = SELECT_ALL;
    else
        return idset_parse(&s->ids, text, err);
    return 0;
}

int value_check_selector(const char *text, struct error *err)
{
    struct selector s;
    int rc = selector_parse(text, &s, err);
    selector_release(&s);
    return rc;
}

int value_check_job_array(const char *text, struct error *err)
{
    return strcmp(text, "last") == 0 ? 0 : value_check_idset(text, err);
}

int value_check_job_or_last(const char *text, struct error *err)
{
    return strcmp(text, "last") == 0 ? 0 : value_check_u32(text, err);
}

int value_check_time(const char *text, struct error *err)
{
    uint64_t us;
    return time_parse(text, clock_real_us(), &us, err);
}

/* --- submit ------------------------------------------------------------- */

int value_check_env(const char *text, struct error *err)
{
    if (!*text)
        return error_set(err, ERR_PARSE, "Environment variable cannot be empty");
    return 0;
}

int value_check_setting(const char *text, struct error *err)
{
    if (*text == '=' || !strchr(text, '='))
        return error_set(err, ERR_PARSE, "expected KEY=VALUE");
    return 0;
}

int value_check_stdio(const char *text, struct error *err)
{
    struct stdio_spec spec;
    int rc = stdio_parse(text, &spec, err);
    if (rc == 0)
        free(spec.path);
    return rc;
}

int value_check_crash_limit(const char *text, struct error *err)
{
    uint32_t limit;
    return crash_limit_parse(text, &limit, err);
}

int value_check_reason(const char *text, struct error *err)
{
    size_t n = strlen(text);
    if (n > CANCEL_REASON_MAX)
        return error_set(err, ERR_PARSE,
                         "Cancel reason must be shorter than %d you entered %zu.",
                         CANCEL_REASON_MAX, n);
    return 0;
}

int value_check_cpus(const char *text, struct error *err)
{
    enum request_policy policy;
    uint64_t amount;
    return request_value_parse(text, &policy, &amount, err);
}

int value_check_resource(const char *text, struct error *err)
{
    enum request_policy policy;
    uint64_t amount;
    char *name = NULL;
    int rc = request_entry_parse(text, &name, &policy, &amount, err);
    if (rc == 0)
        free(name);
    return rc;
}

/* --- workers ------------------------------------------------------------ */

int value_check_worker_cpus(const char *text, struct error *err)
{
    if (strcmp(text, "no-ht") == 0) /* former spelling of --no-hyper-threading */
        return 0;
    struct pool pool = {0};
    int rc = pool_parse_cpus(text, &pool, err);
    if (rc == 0)
        pool_release(&pool);
    return rc;
}

int value_check_worker_resource(const char *text, struct error *err)
{
    struct pool pool = {0};
    int rc = pool_parse(text, &pool, err);
    if (rc == 0)
        pool_release(&pool);
    return rc;
}

int value_check_detect(const char *text, struct error *err)
{
    unsigned flags;
    return topo_detect_parse(text, &flags, err);
}

int value_check_output_limit(const char *text, struct error *err)
{
    uint64_t bytes;
    bool keep_tail;
    return output_limit_parse(text, &bytes, &keep_tail, err);
}

/* --- allocation --------------------------------------------------------- */

int value_check_backlog(const char *text, struct error *err)
{
    int64_t v = 0;
    int rc = number_parse_i64(text, 0, UINT32_MAX, &v, err);
    if (rc == 0 && v == 0)
        return error_set(err, ERR_PARSE, "Backlog has to be at least 1");
    if (rc == 0 && v > ALLOC_BACKLOG_MAX)
        return error_set(err, ERR_PARSE, "Backlog has to be at most %u",
                         ALLOC_BACKLOG_MAX);
    return rc;
}

int value_check_alloc_workers(const char *text, struct error *err)
{
    int64_t v = 0;
    int rc = value_check_positive(text, err);
    if (rc == 0)
        rc = number_parse_i64(text, 0, UINT32_MAX, &v, err);
    if (rc == 0 && v > ALLOC_WORKERS_MAX)
        return error_set(err, ERR_PARSE, "has to be at most %u", ALLOC_WORKERS_MAX);
    return rc;
}

int value_check_alloc_word(const char *text, struct error *err)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ')
            return error_set(err, ERR_PARSE, "it has to be one line of text");
    return strlen(text) > ALLOC_TEXT_MAX ? error_set(err, ERR_PARSE, "it is too long")
                                         : 0;
}

int value_check_alloc_name(const char *text, struct error *err)
{
    int rc = value_check_alloc_word(text, err);
    if (rc == 0 && (!*text || strchr(text, '/') || strlen(text) > 200))
        return error_set(err, ERR_PARSE,
                         "it becomes part of a directory's name: 1 to 200 characters "
                         "without '/'");
    return rc;
}

int value_check_walltime(const char *text, struct error *err)
{
    uint64_t ns;
    int rc = duration_parse(text, &ns, err);
    if (rc == 0 && ns == 0)
        return error_set(err, ERR_PARSE, "has to be longer than 0");
    return rc;
}
