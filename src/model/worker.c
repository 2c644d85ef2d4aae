#include "model/worker.h"

#include <stdlib.h>

#define TEXT_MAX 65536

const char *const worker_state_labels[WORKER_END_COUNT] = {
    "RUNNING",         "STOPPED",       "IDLE TIMEOUT", "TIME LIMIT REACHED",
    "CONNECTION LOST", "HEARTBEAT LOST"};
const char *const worker_end_words[WORKER_END_COUNT] = {
    "running",         "stopped",       "idle timeout", "time limit reached",
    "connection lost", "heartbeat lost"};

void worker_config_init(struct worker_config *c)
{
    *c = (struct worker_config){.pools = POOL_SET_INIT};
}

void worker_config_release(struct worker_config *c)
{
    free(c->hostname);
    free(c->group);
    free(c->work_dir);
    free(c->listen_address);
    free(c->manager_job);
    free(c->version);
    free(c->pool_id);
    pool_set_release(&c->pools);
    worker_config_init(c);
}

static void encode_optional(struct buf *out, const char *s)
{
    buf_u8(out, s != NULL);
    if (s)
        buf_str(out, s);
}

static char *decode_optional(struct cursor *cur)
{
    return cursor_u8(cur) ? cursor_strdup(cur, TEXT_MAX) : NULL;
}

static void encode_double(struct buf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    buf_u64(out, bits);
}

static double decode_double(struct cursor *cur)
{
    uint64_t bits = cursor_u64(cur);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

void worker_config_encode(const struct worker_config *c, struct buf *out)
{
    buf_str(out, c->hostname);
    buf_str(out, c->group);
    buf_str(out, c->work_dir);
    buf_str(out, c->listen_address);
    encode_optional(out, c->manager_job);
    encode_optional(out, c->version);
    buf_u8(out, c->manager);
    buf_u8(out, c->on_server_lost);
    buf_append(out, c->token, sizeof c->token);
    buf_varint(out, c->heartbeat_ns);
    buf_varint(out, c->idle_timeout_ns);
    buf_varint(out, c->time_limit_ns);
    buf_varint(out, c->overview_interval_ns);
    encode_double(out, c->min_utilization);
    buf_varint(out, c->pid);
    buf_u8(out, c->mpi);
    buf_varint(out, c->rank);
    buf_varint(out, c->world_size);
    buf_varint(out, c->local_rank);
    buf_varint(out, c->local_size);
    encode_optional(out, c->pool_id);
    pool_set_encode(&c->pools, out);
}

int worker_config_decode(struct worker_config *c, struct cursor *cur)
{
    worker_config_init(c);
    c->hostname = cursor_strdup(cur, TEXT_MAX);
    c->group = cursor_strdup(cur, TEXT_MAX);
    c->work_dir = cursor_strdup(cur, TEXT_MAX);
    c->listen_address = cursor_strdup(cur, TEXT_MAX);
    c->manager_job = decode_optional(cur);
    c->version = decode_optional(cur);
    c->manager = cursor_u8(cur);
    c->on_server_lost = cursor_u8(cur);
    struct span token = cursor_take(cur, sizeof c->token);
    if (token.n)
        memcpy(c->token, token.p, token.n);
    c->heartbeat_ns = cursor_varint(cur);
    c->idle_timeout_ns = cursor_varint(cur);
    c->time_limit_ns = cursor_varint(cur);
    c->overview_interval_ns = cursor_varint(cur);
    c->min_utilization = decode_double(cur);
    c->pid = cursor_varint32(cur);
    c->mpi = cursor_u8(cur) != 0;
    c->rank = cursor_varint32(cur);
    c->world_size = cursor_varint32(cur);
    c->local_rank = cursor_varint32(cur);
    c->local_size = cursor_varint32(cur);
    c->pool_id = decode_optional(cur);
    if (!(c->min_utilization >= 0.0 && c->min_utilization <= 1.0) ||
        c->manager > MANAGER_SLURM || c->on_server_lost > LOST_RECONNECT)
        cur->failed = true;
    if (cur->failed || pool_set_decode(&c->pools, cur) != 0) {
        worker_config_release(c);
        cur->failed = true;
        return ERR_CORRUPT;
    }
    return 0;
}

int worker_config_copy(struct worker_config *to, const struct worker_config *from)
{
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    worker_config_encode(from, &b);
    int rc = b.failed ? ERR_NOMEM : 0;
    if (rc == 0) {
        struct cursor c = cursor_make(b.data, b.len);
        rc = worker_config_decode(to, &c);
    }
    buf_release(&b);
    return rc;
}
