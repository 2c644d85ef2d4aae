#include "base/base64.h"

/* 0 to 63; 64 for anything else. */
static unsigned value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

/* The `used` (2 to 4) first characters of a group of four as bytes. */
static bool decode_group(const char *text, size_t used, uint8_t *out)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned v = i < used ? value_of(text[i]) : 0;
        if (v == 64)
            return false;
        bits = bits << 6 | v;
    }
    for (size_t i = 0; i + 1 < used; i++)
        out[i] = (uint8_t)(bits >> (16 - 8 * i));
    return used == 4 || (bits & ((1u << (8 * (4 - used))) - 1)) == 0;
}

bool base64_decode(const char *text, size_t n, uint8_t *out, size_t *n_out)
{
    size_t used = 4;
    if (n % 4)
        return false;
    *n_out = 0;
    for (size_t i = 0; i < n; i += 4) {
        if (i + 4 == n)
            used -= (size_t)(text[i + 3] == '=') +
                    (text[i + 3] == '=' && text[i + 2] == '=');
        if (!decode_group(text + i, used, out + *n_out))
            return false;
        *n_out += used - 1;
    }
    return true;
}
