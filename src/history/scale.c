#include "history/scale.h"

#include <stdint.h>
#include <string.h>

#define LN2 0.69314718055994530942
#define LOG2_10 3.32192809488736234787
#define MANTISSA_BITS 52
#define EXPONENT_ONE 1023

double scale_log2(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    int exponent = (int)(bits >> MANTISSA_BITS & 0x7ff) - EXPONENT_ONE;
    bits = (bits & (((uint64_t)1 << MANTISSA_BITS) - 1)) | (uint64_t)EXPONENT_ONE
                                                               << MANTISSA_BITS;
    memcpy(&v, &bits, sizeof v); /* 1 to 2 */
    /* ln v = 2 artanh((v - 1) / (v + 1)), whose argument is at most a third. */
    double t = (v - 1) / (v + 1), power = t, sum = 0;
    for (int k = 1; k < 20; k += 2, power *= t * t)
        sum += power / k;
    return exponent + 2 * sum / LN2;
}

double scale_exp2(double v)
{
    double whole = scale_floor(v), x = (v - whole) * LN2, term = 1, sum = 1, power;
    for (int k = 1; k < 16; k++) {
        term *= x / k;
        sum += term;
    }
    uint64_t bits = (uint64_t)((int64_t)whole + EXPONENT_ONE) << MANTISSA_BITS;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

double scale_log10(double v)
{
    return scale_log2(v) / LOG2_10;
}

double scale_exp10(double v)
{
    return scale_exp2(v * LOG2_10);
}

double scale_floor(double v)
{
    double cut = (double)(int64_t)v;
    return cut > v ? cut - 1 : cut;
}

double scale_ceil(double v)
{
    return -scale_floor(-v);
}
