/* pinyin_surnames.h — inside of src/fhir: surnames by all their readings (definitions/surnames.tsv, made into a constant
 * table at build), since a character is often read otherwise as a name, and some names in two ways. */
#ifndef SHANHAI_FHIR_PINYIN_SURNAMES_H
#define SHANHAI_FHIR_PINYIN_SURNAMES_H

#include <stddef.h>
#include <stdint.h>

struct pinyin_surname {
    uint32_t first;
    uint32_t second; /* of a surname of two characters, else 0 */
    const char *syllables[2];
};

extern const struct pinyin_surname pinyin_surnames[]; /* sorted by the first character */
extern const size_t pinyin_surnames_count;

#endif
