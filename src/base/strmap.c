#include "base/strmap.h"

#include <stdlib.h>
#include <string.h>
#include "base/error.h"

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->refused = true)
#include <uthash.h>

struct entry {
    UT_hash_handle hh;
    void *value;
    bool refused; /* uthash had no memory for it */
    char key[];
};

struct strmap {
    struct entry *head;
};

struct strmap *strmap_create(void)
{
    return calloc(1, sizeof(struct strmap));
}

void strmap_destroy(struct strmap *m)
{
    if (!m)
        return;
    struct entry *e = m->head;
    while (e) {
        struct entry *next = e->hh.next;
        HASH_DEL(m->head, e);
        free(e);
        e = next;
    }
    free(m);
}

static struct entry *find(const struct strmap *m, const char *key, size_t key_len)
{
    struct entry *e = NULL;
    if (key_len <= UINT32_MAX)
        HASH_FIND(hh, m->head, key, key_len, e);
    return e;
}

int strmap_add(struct strmap *m, const char *key, size_t key_len, void *value)
{
    size_t size;
    if (key_len > UINT32_MAX || ADD_OVERFLOWS(sizeof(struct entry) + 1, key_len, &size))
        return ERR_NOMEM;
    if (find(m, key, key_len))
        return ERR_EXISTS;
    struct entry *e = calloc(1, size);
    if (!e)
        return ERR_NOMEM;
    if (key_len)
        memcpy(e->key, key, key_len);
    e->value = value;
    HASH_ADD_KEYPTR(hh, m->head, e->key, key_len, e);
    if (e->refused) {
        free(e);
        return ERR_NOMEM;
    }
    return 0;
}

void *strmap_get(const struct strmap *m, const char *key, size_t key_len)
{
    struct entry *e = find(m, key, key_len);
    return e ? e->value : NULL;
}

void *strmap_remove(struct strmap *m, const char *key, size_t key_len)
{
    struct entry *e = find(m, key, key_len);
    if (!e)
        return NULL;
    void *value = e->value;
    HASH_DEL(m->head, e);
    free(e);
    return value;
}

size_t strmap_count(const struct strmap *m)
{
    return HASH_COUNT(m->head);
}

void strmap_each(const struct strmap *m,
                 void (*fn)(const char *key, void *value, void *arg), void *arg)
{
    for (struct entry *e = m->head; e; e = e->hh.next)
        fn(e->key, e->value, arg);
}
