/* dictionary.h — value representations (PS3.5 6.2) and the data dictionary (PS3.6) as far as Shanhai
 * knows it. The rows come from dictionary.txt at build. Constant; any thread. */
#ifndef SHANHAI_DICOM_DICTIONARY_H
#define SHANHAI_DICOM_DICTIONARY_H

#include <stdint.h>

#include "base/str.h"

/* A value representation is its two letters as a number. */
#define DICOM_VR(a, b) ((uint16_t)(((unsigned)(a) << 8) | (unsigned)(b)))
#define DICOM_VR_UN DICOM_VR('U', 'N')
#define DICOM_VR_SQ DICOM_VR('S', 'Q')
#define DICOM_VR_OB DICOM_VR('O', 'B')
#define DICOM_VR_OW DICOM_VR('O', 'W')
#define DICOM_VR_XS DICOM_VR('x', 's') /* US or SS: Pixel Representation says which */
#define DICOM_VR_OX DICOM_VR('o', 'x') /* OB or OW */

struct dictionary_row {
    uint32_t tag;
    uint16_t vr;
    const char *keyword;
};

/* The row, or NULL for a tag that is not in the table. Repeating overlay groups (60xx) give group 6000. */
const struct dictionary_row *dictionary_find(uint32_t tag);

/* VR of a tag in implicit VR encoding: the table's, LO for a private creator, UL for a group length,
 * else UN (PS3.5 6.2.2, 7.8.1). May give DICOM_VR_XS and DICOM_VR_OX. */
uint16_t dictionary_vr(uint32_t tag);

/* Tag of a keyword ("PatientName") or of eight hexadecimal digits ("00100010"); 0 when it is neither. */
uint32_t dictionary_tag(struct str keyword_or_digits);

/* Whether the VR has a 32-bit length in explicit encoding (PS3.5 7.1.2); any pair of letters that the
 * standard does not name yet has one too. */
bool vr_has_long_length(uint16_t vr);
/* Whether the text of the VR is in the Specific Character Set (PS3.5 6.1.2.3). */
bool vr_has_charset(uint16_t vr);
/* Whether the value is text at all, in any character set. */
bool vr_is_text(uint16_t vr);
/* Bytes of one number of a binary VR (US 2, FD 8, AT 4, OW 2 …), 0 for text and sequences. */
unsigned vr_number_bytes(uint16_t vr);

#endif
