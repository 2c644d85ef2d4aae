/* What holds of every submit that was read from a file: the server accepts it. */
#ifndef HQ_FUZZ_SUBMIT_H
#define HQ_FUZZ_SUBMIT_H

#include "model/spec.h"

static inline void fuzz_submit(struct submit *s)
{
    struct buf bytes = BUF_INIT(BUF_MAX_DEFAULT), again = BUF_INIT(BUF_MAX_DEFAULT);
    struct error err = ERROR_INIT;
    struct submit copy;
    HQ_ASSERT(s->n_groups > 0 && submit_task_count(s) > 0);
    submit_encode(s, &bytes);
    struct cursor c = cursor_make(bytes.data, bytes.len);
    HQ_ASSERT(submit_decode(&copy, &c, &err) == 0 && cursor_left(&c) == 0);
    submit_encode(&copy, &again);
    HQ_ASSERT(again.len == bytes.len && memcmp(again.data, bytes.data, bytes.len) == 0);
    submit_release(&copy);
    submit_release(s);
    buf_release(&bytes);
    buf_release(&again);
}

#endif
