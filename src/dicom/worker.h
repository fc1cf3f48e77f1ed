/* worker.h — strangers' pixels are decoded in worker processes of the same program: `PROGRAM worker decode`,
 * started by exec (so they share no memory, no keys and no files with the server) and then locked in:
 * limits on memory and CPU, no new privileges, a list of allowed system calls, nothing open but one
 * socket. Bytes go in, pixels or a picture come out. A crash, a hang or a false answer is an error for that
 * one frame; the worker is then ended and replaced.
 *
 * The pool belongs to whoever made it; any thread may ask, blocking until a worker is free and has
 * answered (pool threads only, never a network thread). */
#ifndef SHANHAI_DICOM_WORKER_H
#define SHANHAI_DICOM_WORKER_H

#include "base/buf.h"
#include "dicom/pixels.h"
#include "dicom/render.h"

struct decode_pool;

struct decode_pool_options {
    const char *program;    /* NULL: this program, /proc/self/exe */
    unsigned workers_count; /* 0: 2; at most DECODE_WORKERS_MAX */
    unsigned timeout_ms;    /* of one frame, 0: 10000 */
    unsigned wait_ms;       /* for a free worker before ERROR_BUSY, 0: 5000 */
};

enum { DECODE_WORKERS_MAX = 8 };

/* Workers start at their first frame. */
bool decode_pool_create(struct arena *arena, const struct decode_pool_options *options,
                        struct decode_pool **pool, struct error *error) MUST_CHECK;

/* Ends the workers. No call may be under way. NULL is allowed. */
void decode_pool_destroy(struct decode_pool *pool);

/* One frame to samples as dicom_frame_decode gives them, appended to `out`. A frame that ends its worker is
 * ERROR_STRUCTURE: the fault is the frame's. */
bool decode_pool_frame(struct decode_pool *pool, const struct dicom_image *image, struct str frame,
                       struct buf *out, struct error *error) MUST_CHECK;

/* One frame to a PNG or JPEG picture, appended to `out` (render.h). */
bool decode_pool_render(struct decode_pool *pool, const struct dicom_image *image, struct str frame,
                        struct str overlay, const struct dicom_render *render, struct buf *out,
                        struct error *error) MUST_CHECK;

/* Frames asked for, and workers replaced, since the start: for metrics and tests. */
void decode_pool_counts(struct decode_pool *pool, uint64_t *frames, uint64_t *replaced);

/* What main() calls for `worker decode`: serves the socket on standard input until it closes. Returns the exit
 * status. Never returns before the process is locked in. */
int worker_decode_main(void);

#endif
