#include "model/hw_state.h"

#include <stdlib.h>

void hw_gpus_release(struct hw_gpus *g)
{
    free(g->gpus);
    *g = (struct hw_gpus){0};
}

int hw_gpus_copy(struct hw_gpus *to, const struct hw_gpus *from)
{
    *to = (struct hw_gpus){.known = from->known};
    if (!from->n)
        return 0;
    to->gpus = malloc(from->n * sizeof *to->gpus);
    if (!to->gpus) {
        to->known = false;
        return ERR_NOMEM;
    }
    memcpy(to->gpus, from->gpus, from->n * sizeof *to->gpus);
    to->n = from->n;
    return 0;
}

void hw_state_release(struct hw_state *s)
{
    free(s->cpu_load);
    hw_gpus_release(&s->nvidia);
    hw_gpus_release(&s->amd);
    *s = (struct hw_state){0};
}

static void encode_network(const struct hw_network *n, struct buf *out)
{
    buf_varint(out, n->bytes);
    buf_varint(out, n->packets);
    buf_varint(out, n->errors);
}

static struct hw_network decode_network(struct cursor *c)
{
    struct hw_network n = {.bytes = cursor_varint(c)};
    n.packets = cursor_varint(c);
    n.errors = cursor_varint(c);
    return n;
}

static void encode_gpus(const struct hw_gpus *g, struct buf *out)
{
    buf_varint(out, g->known ? g->n + 1 : 0);
    for (size_t i = 0; i < g->n; i++) {
        buf_str(out, g->gpus[i].id);
        buf_varint(out, g->gpus[i].load);
        buf_varint(out, g->gpus[i].memory);
    }
}

static void decode_gpu(struct hw_gpu *g, struct cursor *c)
{
    struct span id = cursor_bytes(c);
    if (id.n > HW_GPU_ID_MAX || (id.n && memchr(id.p, '\0', id.n)))
        cursor_fail(c);
    else if (id.n)
        memcpy(g->id, id.p, id.n);
    g->load = cursor_varint32(c);
    g->memory = cursor_varint32(c);
}

static int decode_gpus(struct hw_gpus *g, struct cursor *c)
{
    uint64_t n = cursor_varint(c);
    *g = (struct hw_gpus){.known = n > 0};
    n -= n > 0;
    /* Each takes three bytes at least. */
    if (n > HW_STATE_GPUS_MAX || n > cursor_left(c) / 3)
        return ERR_CORRUPT;
    g->gpus = n ? calloc(n, sizeof *g->gpus) : NULL;
    if (n && !g->gpus)
        return ERR_NOMEM;
    g->n = n;
    for (size_t i = 0; i < n; i++)
        decode_gpu(&g->gpus[i], c);
    return c->failed ? ERR_CORRUPT : 0;
}

void hw_state_encode(const struct hw_state *s, struct buf *out)
{
    buf_varint(out, s->time_us);
    buf_varint(out, s->n_cpus);
    for (size_t i = 0; i < s->n_cpus; i++)
        buf_varint(out, s->cpu_load[i]);
    buf_varint(out, s->memory_total);
    buf_varint(out, s->memory_free);
    encode_network(&s->received, out);
    encode_network(&s->sent, out);
    encode_gpus(&s->nvidia, out);
    encode_gpus(&s->amd, out);
}

int hw_state_decode(struct hw_state *s, struct cursor *c)
{
    *s = (struct hw_state){.time_us = cursor_varint(c)};
    uint64_t n = cursor_varint(c);
    /* Each takes a byte at least. */
    if (c->failed || n > HW_STATE_CPUS_MAX || n > cursor_left(c))
        return ERR_CORRUPT;
    s->cpu_load = calloc(n ? n : 1, sizeof *s->cpu_load);
    if (!s->cpu_load)
        return ERR_NOMEM;
    s->n_cpus = n;
    for (size_t i = 0; i < n; i++)
        s->cpu_load[i] = cursor_varint32(c);
    s->memory_total = cursor_varint(c);
    s->memory_free = cursor_varint(c);
    s->received = decode_network(c);
    s->sent = decode_network(c);
    int rc = c->failed ? ERR_CORRUPT : 0;
    if (rc == 0 && cursor_left(c)) {
        rc = decode_gpus(&s->nvidia, c);
        rc = rc ? rc : decode_gpus(&s->amd, c);
    }
    if (rc != 0)
        hw_state_release(s);
    return rc;
}

static void json_gpus(struct json *j, const char *key, const struct hw_gpus *g)
{
    if (!g->known) {
        json_knull(j, key);
        return;
    }
    json_key(j, key);
    json_begin_object(j);
    json_key(j, "gpus");
    json_begin_array(j);
    for (size_t i = 0; i < g->n; i++) {
        json_begin_object(j);
        json_kstr(j, "id", g->gpus[i].id);
        json_kdouble(j, "mem_usage", g->gpus[i].memory / 100.0);
        json_kdouble(j, "processor_usage", g->gpus[i].load / 100.0);
        json_end_object(j);
    }
    json_end_array(j);
    json_end_object(j);
}

void hw_state_json(const struct hw_state *s, struct json *j)
{
    json_begin_object(j);
    json_key(j, "state");
    json_begin_object(j);
    json_gpus(j, "amd_gpus", &s->amd);
    json_key(j, "cpu_usage");
    json_begin_object(j);
    json_key(j, "cpu_per_core_percent_usage");
    json_begin_array(j);
    for (size_t i = 0; i < s->n_cpus; i++)
        json_double(j, s->cpu_load[i] / 100.0);
    json_end_array(j);
    json_end_object(j);
    json_key(j, "memory_usage");
    json_begin_object(j);
    json_kuint(j, "free", s->memory_free);
    json_kuint(j, "total", s->memory_total);
    json_end_object(j);
    json_key(j, "network_usage");
    json_begin_object(j);
    json_kuint(j, "rx_bytes", s->received.bytes);
    json_kuint(j, "rx_errors", s->received.errors);
    json_kuint(j, "rx_packets", s->received.packets);
    json_kuint(j, "tx_bytes", s->sent.bytes);
    json_kuint(j, "tx_errors", s->sent.errors);
    json_kuint(j, "tx_packets", s->sent.packets);
    json_end_object(j);
    json_gpus(j, "nvidia_gpus", &s->nvidia);
    json_kuint(j, "timestamp", s->time_us / 1000000);
    json_end_object(j);
    json_end_object(j);
}
