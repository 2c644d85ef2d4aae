/* The answer to a question why a task waits, read from its message. */
#include "cli/task_explain.h"

#include <stdlib.h>
#include "base/xmem.h"

#define HOLD_TEXT_MAX ((size_t)16 << 10)

void explanation_release(struct explanation *e)
{
    for (size_t w = 0; w < e->n_workers; w++) {
        struct candidate *c = &e->workers[w];
        for (size_t v = 0; v < c->n; v++) {
            for (size_t i = 0; i < c->variants[v].n; i++)
                free(c->variants[v].items[i].name);
            free(c->variants[v].items);
        }
        for (size_t h = 0; h < c->n_holds; h++)
            free(c->holds[h].text);
        free(c->variants);
        free(c->holds);
    }
    free(e->workers);
    idset_release(&e->needs);
}

static void read_item(struct cursor *c, struct item *item)
{
    item->kind = (enum item_kind)cursor_u8(c);
    switch (item->kind) {
    case ITEM_TIME:
        item->wanted = cursor_varint(c);
        item->known = cursor_u8(c) != 0;
        item->offered = cursor_varint(c);
        break;
    case ITEM_RESOURCE:
        item->name = cursor_strdup(c, RESOURCE_NAME_MAX);
        item->wanted = cursor_varint(c);
        item->offered = cursor_varint(c);
        break;
    case ITEM_NODES:
        item->wanted = cursor_varint(c);
        item->offered = cursor_varint(c);
        break;
    case ITEM_KIND_COUNT:
        c->failed = true;
        break;
    }
    c->failed = c->failed || item->kind >= ITEM_KIND_COUNT;
}

static void read_candidate(struct cursor *c, struct candidate *w)
{
    w->worker = cursor_varint32(c);
    size_t n = cursor_count(c, 1);
    w->variants = xcalloc(n + 1, sizeof *w->variants);
    for (; w->n < n && !c->failed; w->n++) {
        struct variant *v = &w->variants[w->n];
        size_t items = cursor_count(c, 3);
        v->items = xcalloc(items + 1, sizeof *v->items);
        for (; v->n < items && !c->failed; v->n++)
            read_item(c, &v->items[v->n]);
    }
}

static void read_hold(struct cursor *c, struct hold *h)
{
    h->kind = (enum sched_hold_kind)cursor_u8(c);
    h->variant = cursor_u8(c);
    h->text = cursor_strdup(c, HOLD_TEXT_MAX);
    h->need = cursor_varint(c);
    h->have = cursor_varint(c);
    h->total = cursor_varint(c);
    h->left_us = cursor_varint(c);
    h->job = cursor_varint32(c);
    h->task = cursor_varint32(c);
    h->priority = (int32_t)cursor_zigzag(c);
    c->failed = c->failed || h->kind >= SCHED_HOLD_COUNT;
}

static void read_holds(struct cursor *c, struct candidate *w)
{
    size_t n = cursor_count(c, 10);
    w->holds = xcalloc(n + 1, sizeof *w->holds);
    for (; w->n_holds < n && !c->failed; w->n_holds++)
        read_hold(c, &w->holds[w->n_holds]);
}

static void read_position(struct cursor *c, struct explanation *e)
{
    size_t n = cursor_count(c, 1);
    for (size_t i = 0; i < n && !c->failed; i++)
        if (idset_add(&e->needs, cursor_varint32(c), 1, 1))
            abort();
    e->at = (enum task_position)cursor_u8(c);
    e->sent_to = cursor_varint32(c);
    e->n_before = cursor_varint(c);
    e->n_above = cursor_varint(c);
    e->priority = (int32_t)cursor_zigzag(c);
    c->failed = c->failed || e->at > AT_RUNNING;
}

int explanation_read(struct span body, struct explanation *e, struct error *err)
{
    struct msg_RSP_EXPLAIN m;
    int rc = msg_get_RSP_EXPLAIN(body, &m, err);
    if (rc)
        return rc;
    struct cursor c = cursor_make(m.explanation.p, m.explanation.n);
    e->job = cursor_varint32(&c);
    e->task = cursor_varint32(&c);
    e->n_needs = cursor_varint32(&c);
    e->n_unfinished = cursor_varint32(&c);
    size_t n = cursor_count(&c, 2);
    e->workers = xcalloc(n + 1, sizeof *e->workers);
    for (; e->n_workers < n && !c.failed; e->n_workers++)
        read_candidate(&c, &e->workers[e->n_workers]);
    read_position(&c, e);
    for (size_t i = 0; i < e->n_workers && !c.failed; i++)
        read_holds(&c, &e->workers[i]);
    return c.failed ? error_set(err, ERR_CORRUPT, "malformed explanation") : 0;
}
