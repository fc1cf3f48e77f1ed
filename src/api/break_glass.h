/* break_glass.h — what the audit list says of records that were open by 紧急调阅 (docs/modules/consult.md section 7). */
#ifndef SHANHAI_API_BREAK_GLASS_H
#define SHANHAI_API_BREAK_GLASS_H

#include "base/arena.h"
#include "base/error.h"
#include "json/json.h"

struct store_reader;

/* Adds purposeOfEvent BTG (break the glass) to each AuditEvent of a searchset in which somebody touched a patient
 * while he held that patient's record open in this way. Grants that have ended still say when they were alive. */
bool break_glass_mark(struct store_reader *reader, struct arena *arena, struct json *bundle,
                      struct error *error) MUST_CHECK;

#endif
