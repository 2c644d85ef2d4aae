/* What scales of charts need, within 1e-9: hq does not load the mathematical library,
 * which would cost every start of it more than all else it loads. */
#ifndef HQ_HISTORY_SCALE_H
#define HQ_HISTORY_SCALE_H

double scale_log2(double v); /* of v > 0 */
double scale_exp2(double v); /* of -1000 to 1000 */
double scale_log10(double v);
double scale_exp10(double v);
double scale_floor(double v); /* of numbers that fit into 62 bits */
double scale_ceil(double v);

#endif
