/*
 * Named fault points: FAULT("journal.fsync") is false in ordinary builds. With
 * HQ_FAULTS the environment variable of that name arms them:
 *   HQ_FAULTS=journal.fsync:3=EIO,outlog.write:10=kill,wire.send:5=delay:200
 * (fail with that errno at the 3rd call and later with a '+' behind the number, SIGKILL
 * ourselves, sleep that many milliseconds).
 */
#ifndef HQ_BASE_FAULT_H
#define HQ_BASE_FAULT_H

#include "base/util.h"

#ifdef HQ_FAULTS
bool fault_hit(const char *name); /* sets errno when true */
/* Arms the list instead of the environment's, for tests; false: malformed. */
bool fault_arm(const char *list);
#define FAULT(name) fault_hit(name)
#else
#define FAULT(name) false
#endif

#endif
