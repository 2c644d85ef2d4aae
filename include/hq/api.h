/* Marks of the declarations of libhq. Other headers include it. */
#ifndef HQ_API_H
#define HQ_API_H

#ifdef __cplusplus
#define HQ_BEGIN_DECLS extern "C" {
#define HQ_END_DECLS }
#else
#define HQ_BEGIN_DECLS
#define HQ_END_DECLS
#endif

#if defined(__GNUC__)
#define HQ_API __attribute__((visibility("default")))
/* The result tells whether the call failed. */
#define HQ_CHECK __attribute__((warn_unused_result))
#else
#define HQ_API
#define HQ_CHECK
#endif

#endif
