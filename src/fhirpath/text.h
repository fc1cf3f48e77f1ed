/* text.h — inside of src/fhirpath: UTF-8 by code point. Ill-formed bytes read as U+FFFD, one at a time. */
#ifndef SHANHAI_FHIRPATH_TEXT_H
#define SHANHAI_FHIRPATH_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The code point at *at (before the end), which moves behind it. */
uint32_t text_next(struct str text, size_t *at);

size_t text_count(struct str text);
/* Byte offset of a code point, or the length when there are fewer. */
size_t text_offset(struct str text, size_t index);

/* Equal without regard to case, any white space as a blank (N1 6.1.2). */
bool text_equivalent(struct str a, struct str b);

uint32_t text_upper(uint32_t code);
uint32_t text_lower(uint32_t code);

#endif
