/*
 * Allocation failures on demand, for one test program: replaces malloc, calloc,
 * realloc and free. Include it in exactly one source of the program. TORTURE lets the
 * first, the second, ... allocation of a call fail; alloc_fail_at is for one by hand.
 */
#ifndef HQ_TEST_ALLOC_TORTURE_H
#define HQ_TEST_ALLOC_TORTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ALLOC_TORTURE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ALLOC_TORTURE 0
#endif
#endif
#ifndef ALLOC_TORTURE
#define ALLOC_TORTURE 1
#endif

/* Volatile: compilers know that malloc leaves the variables of a file alone. */
static volatile long alloc_countdown; /* 0: never fail */
static volatile bool alloc_did_fail;
static volatile long alloc_live __attribute__((unused)); /* blocks that are not freed */

static inline void alloc_fail_at(long n)
{
    alloc_countdown = n;
    alloc_did_fail = false;
}

/* Stops failing; whether an allocation failed since alloc_fail_at. */
static inline bool alloc_failed(void)
{
    alloc_countdown = 0;
    return alloc_did_fail;
}

/* Sanitizers and valgrind bring allocators of their own; nothing can be refused then.
 */
static inline bool alloc_torture_works(void)
{
    alloc_fail_at(1);
    void *volatile p = malloc(1);
    free(p);
    return alloc_failed();
}

#if ALLOC_TORTURE
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *p);

#define ALLOC_VISIBLE __attribute__((visibility("default")))

static bool alloc_refuse(void)
{
    if (alloc_countdown == 0 || --alloc_countdown > 0)
        return false;
    alloc_did_fail = true;
    return true;
}

static void *alloc_count(void *p)
{
    if (p)
        __atomic_add_fetch(&alloc_live, 1, __ATOMIC_RELAXED);
    return p;
}

ALLOC_VISIBLE void *malloc(size_t size)
{
    return alloc_refuse() ? NULL : alloc_count(__libc_malloc(size));
}

ALLOC_VISIBLE void *calloc(size_t n, size_t size)
{
    return alloc_refuse() ? NULL : alloc_count(__libc_calloc(n, size));
}

ALLOC_VISIBLE void *realloc(void *old, size_t size)
{
    if (alloc_refuse())
        return NULL;
    void *p = __libc_realloc(old, size);
    return old ? p : alloc_count(p);
}

ALLOC_VISIBLE void free(void *p)
{
    if (p)
        __atomic_sub_fetch(&alloc_live, 1, __ATOMIC_RELAXED);
    __libc_free(p);
}
#endif

/*
 * Runs `call` with the first, second, … allocation failing until one run needs no more.
 * rc must be ERR_NOMEM whenever one failed, and nothing may have leaked; `after` runs
 * behind each failed try. Ends with the result of the last, untroubled run in rc.
 */
#define TORTURE(rc, call, after)            \
    for (long nth_ = 1;; nth_++) {          \
        long live_ = alloc_live;            \
        alloc_fail_at(nth_);                \
        rc = (call);                        \
        if (!alloc_failed())                \
            break;                          \
        CU_ASSERT_EQUAL(alloc_live, live_); \
        CU_ASSERT_EQUAL(rc, ERR_NOMEM);     \
        after;                              \
    }

#endif
