/* unit.h — inside of src/fhirpath: one UCUM code, read. */
#ifndef SHANHAI_FHIRPATH_UNIT_H
#define SHANHAI_FHIRPATH_UNIT_H

#include "fhirpath/decimal.h"
#include "fhirpath/units_table.h"

enum { UNIT_DIMENSIONS_COUNT = 7 };

/* numerator / denominator * 10^exponent, over base dimensions and at most one arbitrary unit. */
struct unit {
    struct decimal numerator;
    struct decimal denominator;
    int exponent;
    int8_t dimensions[UNIT_DIMENSIONS_COUNT];
    size_t arbitrary; /* row number plus 1; 0 is none */
    int8_t arbitrary_power;
    enum unit_kind scale; /* UNIT_CELSIUS or UNIT_FAHRENHEIT while it stands alone; else UNIT_DERIVED */
};

struct unit unit_one(void);
/* False for what is no unit of the table. */
bool unit_parse(struct str code, struct unit *unit) MUST_CHECK;

/* A decimal as a whole mantissa; its power of ten is added to *exponent. */
struct decimal unit_take_exponent(struct decimal value, int *exponent);

#endif
