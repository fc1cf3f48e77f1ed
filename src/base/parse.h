/* parse.h — the only place where text from outside becomes a number. Whole text or failure: no leading
 * blanks, no sign unless signed, no overflow. Any thread. */
#ifndef SHANHAI_BASE_PARSE_H
#define SHANHAI_BASE_PARSE_H

#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* Decimal digits, 0 … max. */
bool parse_uint64(struct str text, uint64_t max, uint64_t *value) MUST_CHECK;
bool parse_int64(struct str text, int64_t min, int64_t max, int64_t *value) MUST_CHECK;

/* A JSON-style decimal as the nearest double, in the C locale ("1.50", "-2e3"). Only where the digits
 * are not kept (ordering keys, measurements); FHIR decimals stay text. */
bool parse_double(struct str text, double *value) MUST_CHECK;

/* a + b and a * b of sizes that come from outside. */
bool size_add_checked(size_t a, size_t b, size_t *sum) MUST_CHECK;
bool size_multiply_checked(size_t a, size_t b, size_t *product) MUST_CHECK;

#endif
