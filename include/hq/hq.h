/*
 * libhq: submitting jobs to hq, watching them, reading what they print.
 *
 * The headers stand alone: error.h (how calls fail, and what the library never does),
 * client.h (connecting), submit.h (describing jobs), job.h (watching and changing
 * them), worker.h (what runs them), log.h (reading output). docs/c-library.md has a
 * tour.
 */
#ifndef HQ_HQ_H
#define HQ_HQ_H

#include <hq/client.h>
#include <hq/error.h>
#include <hq/job.h>
#include <hq/log.h>
#include <hq/submit.h>
#include <hq/worker.h>

#endif
