/* lung_measure.h — the whole job: stored instances in, result as JSON and mask out. Runs in a worker process
 * (`shanhai worker measure`) or on the command line, because it decodes pixels. The server handles only the
 * JSON text and the mask's bytes, never a volume. */
#ifndef SHANHAI_LUNG_LUNG_MEASURE_H
#define SHANHAI_LUNG_LUNG_MEASURE_H

#include "json/json.h"
#include "lung/lung_mask.h"
#include "lung/lung_series.h"

struct lung_measurement {
    struct lung_ct ct;
    struct lung_result result;
    struct buf mask; /* lung_mask.h; empty when unfit */
    char key_uid[LUNG_UID_BYTES];
    int64_t load_us;
    int64_t compute_us;
};

/* Loads, measures, packs the mask. False when the input cannot be read; unfit is true, with
 * lung_notes_unfit(&measurement->result.notes). lung_measurement_deinit in both cases. */
bool lung_measure_series(const struct lung_source *sources, size_t count, const struct lung_options *options,
                         struct lung_measurement *measurement, struct error *error) MUST_CHECK;
void lung_measurement_deinit(struct lung_measurement *measurement);

/* The result as JSON (docs/modules/lung.md lists the members); NULL when memory ran out. */
struct json *lung_measurement_json(struct arena *arena, const struct lung_measurement *measurement);

/* ---- what `shanhai worker measure` says on its standard output: lines "progress N", then
 * "result JSON_BYTES MASK_BYTES", then the two, nothing after ---- */

void lung_worker_write_result(struct buf *buf, struct str json, struct str mask);

/* Takes the answer apart; ERROR_STRUCTURE when it is cut short. */
bool lung_worker_read_result(struct str output, struct str *json, struct str *mask,
                             struct error *error) MUST_CHECK;

/* One line of the worker's input: PATH, or PATH TAB OFFSET TAB LENGTH, or these and TAB TRANSFER_SYNTAX_UID. */
bool lung_worker_read_source(struct arena *arena, struct str line, struct lung_source *source,
                             struct error *error) MUST_CHECK;

#endif
