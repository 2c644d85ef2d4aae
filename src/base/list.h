/* Intrusive doubly linked list; a node is in at most one list. Zeroed nodes are
 * unlinked. */
#ifndef HQ_BASE_LIST_H
#define HQ_BASE_LIST_H

#include "base/util.h"

struct list_node {
    struct list_node *prev, *next;
};

struct list {
    struct list_node head;
};

static inline void list_init(struct list *l)
{
    l->head.prev = l->head.next = &l->head;
}
static inline bool list_empty(const struct list *l)
{
    return l->head.next == &l->head;
}
static inline bool list_linked(const struct list_node *n)
{
    return n->next != NULL;
}
static inline void list_insert_before(struct list_node *pos, struct list_node *n)
{
    n->prev = pos->prev;
    n->next = pos;
    pos->prev->next = n;
    pos->prev = n;
}
static inline void list_push_back(struct list *l, struct list_node *n)
{
    list_insert_before(&l->head, n);
}
static inline void list_push_front(struct list *l, struct list_node *n)
{
    list_insert_before(l->head.next, n);
}
static inline void list_remove(struct list_node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->prev = n->next = NULL;
}
/* Moves all of `from` in front of what is in `l`. */
static inline void list_prepend(struct list *l, struct list *from)
{
    if (list_empty(from))
        return;
    from->head.prev->next = l->head.next;
    l->head.next->prev = from->head.prev;
    from->head.next->prev = &l->head;
    l->head.next = from->head.next;
    list_init(from);
}
static inline struct list_node *list_first(struct list *l)
{
    return list_empty(l) ? NULL : l->head.next;
}
#define LIST_FOR_EACH(l, node) \
    for (struct list_node *node = (l)->head.next; node != &(l)->head; node = node->next)
#define LIST_FOR_EACH_SAFE(l, node, tmp)                             \
    for (struct list_node *node = (l)->head.next, *tmp = node->next; \
         node != &(l)->head; node = tmp, tmp = node->next)

#endif
