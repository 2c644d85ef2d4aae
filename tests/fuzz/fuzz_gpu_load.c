/* What programs of GPU makers print; the first byte of the input chooses the maker.
 * What is read can be told to a server. */
#include "topo/gpu_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hw_state s = {0}, got;
    struct error err = ERROR_INIT;
    if (size == 0)
        return 0;
    int rc = gpu_load_parse(data[0] & 1 ? FAMILY_AMD : FAMILY_NVIDIA, data + 1,
                            size - 1, &s.nvidia, &err);
    HQ_ASSERT(s.nvidia.known == (rc == 0) && (rc == 0) == (s.nvidia.n > 0));
    struct buf b = BUF_INIT(BUF_MAX_DEFAULT);
    hw_state_encode(&s, &b);
    struct cursor c = cursor_make(b.data, b.len);
    HQ_ASSERT(hw_state_decode(&got, &c) == 0 && c.p == c.end &&
              got.nvidia.n == s.nvidia.n);
    hw_state_release(&got);
    hw_state_release(&s);
    buf_release(&b);
    return 0;
}
