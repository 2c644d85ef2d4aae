#include "sched/queues.h"
#include <stdlib.h>
#include "base/xmem.h"

void queues_release(struct queues *l)
{
    QUEUES_FOR_EACH(l, q)
    ready_set_release(&q->ready);
    for (size_t i = 0; i < l->pages.len; i++)
        free(l->pages.data[i]);
    vec_release(&l->pages);
}

/* The page that has, or should have the priority. */
static size_t page_index(const struct queues *l, int32_t priority)
{
    size_t low = 0, high = l->pages.len;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (l->pages.data[middle]->queues[0].priority >= priority)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Index of the first queue of the page whose priority is not above. */
static uint32_t page_position(const struct queue_page *page, int32_t priority)
{
    uint32_t low = 0, high = page->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (page->queues[middle].priority > priority)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct queue *queues_find(const struct queues *l, int32_t priority)
{
    if (!l->pages.len)
        return NULL;
    struct queue_page *page = l->pages.data[page_index(l, priority)];
    uint32_t at = page_position(page, priority);
    return at < page->n && page->queues[at].priority == priority ? &page->queues[at]
                                                                 : NULL;
}

/* Drops the queues without tasks. */
static void page_sweep(struct queue_page *page)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < page->n; i++) {
        if (page->queues[i].ready.n_tasks)
            page->queues[kept++] = page->queues[i];
        else
            ready_set_release(&page->queues[i].ready);
    }
    page->n = kept;
    page->from = 0;
}

static void page_insert_at(struct queues *l, size_t at, struct queue_page *page)
{
    HQ_ASSERT(vec_push(&l->pages, page));
    memmove(&l->pages.data[at + 1], &l->pages.data[at],
            (l->pages.len - 1 - at) * sizeof *l->pages.data);
    l->pages.data[at] = page;
}

/* Moves the lower half of a full page to a new one behind it. */
static void page_split(struct queues *l, size_t at)
{
    struct queue_page *page = l->pages.data[at], *next = xcalloc(1, sizeof *next);
    next->n = page->n / 2;
    page->n -= next->n;
    memcpy(next->queues, &page->queues[page->n], next->n * sizeof *next->queues);
    page_insert_at(l, at + 1, next);
}

/* Drops the pages before the first and behind the last one with tasks. */
static void queues_trim(struct queues *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->pages.len; i++) {
        if (i >= l->first && i <= l->last) {
            l->pages.data[kept++] = l->pages.data[i];
            continue;
        }
        page_sweep(l->pages.data[i]);
        free(l->pages.data[i]);
    }
    l->pages.len = kept;
}

struct queue *queues_get(struct queues *l, int32_t priority)
{
    if (l->first > 0 || l->last + 1 < l->pages.len)
        queues_trim(l);
    if (!l->pages.len)
        page_insert_at(l, 0, xcalloc(1, sizeof(struct queue_page)));
    size_t p = page_index(l, priority);
    struct queue_page *page = l->pages.data[p];
    uint32_t at = page_position(page, priority);
    bool known = at < page->n && page->queues[at].priority == priority;
    if (!known && page->n == QUEUES_OF_PAGE) {
        page_sweep(page);
        if (page->n == QUEUES_OF_PAGE) {
            page_split(l, p);
            struct queue_page *next = l->pages.data[p + 1];
            page = next->queues[0].priority >= priority ? next : page;
        }
        at = page_position(page, priority);
    }
    l->first = 0;
    l->last = l->pages.len - 1;
    page->from = MIN(page->from, at);
    if (known)
        return &page->queues[at];
    memmove(&page->queues[at + 1], &page->queues[at],
            (page->n - at) * sizeof *page->queues);
    page->n++;
    page->queues[at] = (struct queue){priority, {NULL, 0, 0, 0, 0}};
    return &page->queues[at];
}

static struct queue *page_top(struct queue_page *page)
{
    for (uint32_t i = page->from; i < page->n; i++)
        if (page->queues[i].ready.n_tasks)
            return &page->queues[i];
    return NULL;
}

static struct queue *page_lowest(struct queue_page *page)
{
    for (uint32_t i = page->n; i-- > 0;)
        if (page->queues[i].ready.n_tasks)
            return &page->queues[i];
    return NULL;
}

struct queue *queues_top(const struct queues *l)
{
    struct queue *q = NULL;
    for (size_t i = l->first; i < l->pages.len && i <= l->last && !q; i++)
        q = page_top(l->pages.data[i]);
    return q;
}

struct queue *queues_lowest(const struct queues *l)
{
    struct queue *q = NULL;
    for (size_t i = MIN(l->last + 1, l->pages.len); i-- > l->first && !q;)
        q = page_lowest(l->pages.data[i]);
    return q;
}

void queues_taken(struct queues *l)
{
    if (!l->pages.len)
        return;
    while (l->first < l->last && !page_top(l->pages.data[l->first]))
        l->first++;
    struct queue_page *page = l->pages.data[l->first];
    while (page->from < page->n && !page->queues[page->from].ready.n_tasks)
        page->from++;
    while (l->last > l->first && !page_lowest(l->pages.data[l->last]))
        l->last--;
}

bool queues_valid(const struct queues *l)
{
    const struct queue *before = NULL;
    size_t page = 0;
    for (; page < l->pages.len; page++) {
        struct queue_page *at = l->pages.data[page];
        if (at->n == 0 || ((page < l->first || page > l->last) && page_top(at)))
            return false;
        for (uint32_t i = 0; i < at->from; i++)
            if (at->queues[i].ready.n_tasks)
                return false;
    }
    QUEUES_FOR_EACH(l, q)
    {
        if (!ready_set_valid(&q->ready) || (before && before->priority <= q->priority))
            return false;
        before = q;
    }
    return true;
}
