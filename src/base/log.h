/*
 * Log lines on standard error: "<UTC time>Z <LEVEL> <message>", with --debug
 * "[<time with ms> <LEVEL> <module>] <message>". Results never go here. Thread-safe:
 * one write(2) a line. The module is the folder of the source file.
 */
#ifndef HQ_BASE_LOG_H
#define HQ_BASE_LOG_H

#include "base/util.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };

/* Default: LOG_INFO, short form. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
void log_set_long_format(bool on);
void log_write(enum log_level level, const char *file, const char *fmt, ...)
    PRINTF(3, 4);

#define log_error(...) log_write(LOG_ERROR, __FILE__, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN, __FILE__, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __FILE__, __VA_ARGS__)
#define log_debug(...)                                                          \
    (log_get_level() >= LOG_DEBUG ? log_write(LOG_DEBUG, __FILE__, __VA_ARGS__) \
                                  : (void)0)

#endif
