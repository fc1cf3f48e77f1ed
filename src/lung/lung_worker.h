/* lung_worker.h — the server's side of a measurement: starts `PROGRAM worker measure`, hands it the places of the
 * instances, passes its progress on and gives back its answer. What the bytes of strangers do to a decoder happens
 * in that process; here only text and a checked mask arrive. Blocks: call it from a job's thread. */
#ifndef SHANHAI_LUNG_LUNG_WORKER_H
#define SHANHAI_LUNG_LUNG_WORKER_H

#include "base/arena.h"
#include "base/error.h"
#include "lung/lung_series.h"

enum { LUNG_WORKER_SECONDS_MAX = 300, LUNG_WORKER_OUTPUT_BYTES_MAX = 300 * 1024 * 1024 };

struct lung_worker_options {
    const char *program;  /* NULL: the running one (/proc/self/exe) */
    unsigned seconds_max; /* 0: LUNG_WORKER_SECONDS_MAX */
    /* Called when percent changes and at least once a second; false ends the worker (ERROR_BUSY). May be NULL. */
    bool (*progress)(void *context, unsigned percent);
    void *context;
};

/* The result's JSON text (measured or unfit: lung_report_status) and the mask (empty when unfit) in the arena.
 * False when the worker could not read the images (ERROR_STRUCTURE with its reason), died, or took too long. */
bool lung_worker_run(struct arena *arena, const struct lung_source *sources, size_t count,
                     const struct lung_worker_options *options, struct str *json, struct str *mask,
                     struct error *error) MUST_CHECK;

#endif
