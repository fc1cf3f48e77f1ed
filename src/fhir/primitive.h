/* primitive.h — the formats of R4's primitive types (R4 2.24.0.1), checked by hand-written scanners that say the same
 * as the standard's regular expressions. Any thread, no memory. */
#ifndef SHANHAI_FHIR_PRIMITIVE_H
#define SHANHAI_FHIR_PRIMITIVE_H

#include <stdbool.h>

#include "base/str.h"

enum primitive {
    PRIMITIVE_NONE, /* no name of a primitive type */
    PRIMITIVE_BASE64,
    PRIMITIVE_BOOLEAN,
    PRIMITIVE_CANONICAL,
    PRIMITIVE_CODE,
    PRIMITIVE_DATE,
    PRIMITIVE_DATETIME,
    PRIMITIVE_DECIMAL,
    PRIMITIVE_ID,
    PRIMITIVE_INSTANT,
    PRIMITIVE_INTEGER,
    PRIMITIVE_MARKDOWN,
    PRIMITIVE_OID,
    PRIMITIVE_POSITIVE_INT,
    PRIMITIVE_STRING,
    PRIMITIVE_TIME,
    PRIMITIVE_UNSIGNED_INT,
    PRIMITIVE_URI,
    PRIMITIVE_URL,
    PRIMITIVE_UUID,
    PRIMITIVE_XHTML,
};

/* By the name of the type ("dateTime"). */
enum primitive primitive_of(struct str type_name);

/* Whether the JSON value is a number or a boolean; strings else. */
bool primitive_is_number(enum primitive primitive);

/* NULL when the text (decoded; the digits of a number) is well formed, else what is expected, in English, for
 * "must be …". */
const char *primitive_fault(enum primitive primitive, struct str text);

/* Id of a resource: [A-Za-z0-9.-]{1,64}. */
bool primitive_is_id(struct str text);

#endif
