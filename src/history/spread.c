#include "history/spread.h"

#include "base/util.h"
#include "history/scale.h"

#define LOG2_GROWTH 0.028569152196770894 /* bins grow by 1.02 */

/* Bin i holds what is at least GROWTH^i and below GROWTH^(i + 1); 0 and 1 go to bin 0.
 */
static size_t bin_of(uint64_t us)
{
    if (us <= 1)
        return 0;
    size_t bin = (size_t)(scale_log2((double)us) / LOG2_GROWTH);
    return MIN(bin, (size_t)SPREAD_BINS - 1);
}

void spread_add(struct spread *s, uint64_t us)
{
    s->min_us = s->n ? MIN(s->min_us, us) : us;
    s->max_us = MAX(s->max_us, us);
    s->sum_us += (double)us;
    s->bins[bin_of(us)]++;
    s->n++;
}

double spread_quantile(const struct spread *s, double q)
{
    uint64_t wanted = (uint64_t)(q * (double)(s->n ? s->n - 1 : 0)), seen = 0;
    if (s->n == 0)
        return 0;
    if (q <= 0 || q >= 1)
        return (double)(q <= 0 ? s->min_us : s->max_us);
    size_t bin = 0;
    while (bin < SPREAD_BINS - 1 && seen + s->bins[bin] <= wanted)
        seen += s->bins[bin++];
    double middle = scale_exp2(((double)bin + 0.5) * LOG2_GROWTH);
    return MIN(MAX(middle, (double)s->min_us), (double)s->max_us);
}
