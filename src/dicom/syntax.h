/* syntax.h — the transfer syntaxes (PS3.5 section 10, annex A) and what we can do with each. Constant. */
#ifndef SHANHAI_DICOM_SYNTAX_H
#define SHANHAI_DICOM_SYNTAX_H

#include "base/str.h"

enum dicom_codec {
    DICOM_CODEC_NATIVE,
    DICOM_CODEC_RLE,
    DICOM_CODEC_JPEG,          /* 8-bit baseline and extended with 8 bits */
    DICOM_CODEC_JPEG_LOSSLESS, /* process 14 */
    DICOM_CODEC_JPEG_LS,
    DICOM_CODEC_JPEG_2000, /* kept, not decoded yet */
    DICOM_CODEC_OTHER,     /* video, HTJ2K, JPEG XL: kept, not decoded */
};

struct dicom_syntax {
    const char *uid;
    const char *name;
    enum dicom_codec codec;
    bool is_explicit;
    bool is_big_endian;
    bool is_deflated;
    bool is_encapsulated;
    const char *media_type; /* of one frame, PS3.18 table 8.7.3-2 … 4; NULL when native */
};

/* The syntax, or NULL for one we do not know. Trailing NUL and blanks of a UI value are allowed. */
const struct dicom_syntax *dicom_syntax_find(struct str uid);

/* By position, NULL after the last: what a listener may accept. */
const struct dicom_syntax *dicom_syntax_at(size_t index);

#define DICOM_IMPLICIT_LE "1.2.840.10008.1.2"
#define DICOM_EXPLICIT_LE "1.2.840.10008.1.2.1"
#define DICOM_DEFLATED_LE "1.2.840.10008.1.2.1.99"
#define DICOM_EXPLICIT_BE "1.2.840.10008.1.2.2"
#define DICOM_JPEG_LS_LOSSLESS "1.2.840.10008.1.2.4.80"

/* Who we are to peers and in files that we complete (PS3.7 D.3.3.2); the UID is a UUID's (PS3.5 B.2). */
#define DICOM_IMPLEMENTATION_UID "2.25.211868741630385716404296519028478912873"
#define DICOM_IMPLEMENTATION_NAME "SHANHAI_1"

enum { DICOM_UID_BYTES_MAX = 64 };

/* 1 to 64 of [0-9.] (PS3.5 9.1). Nothing else may come near a path, a key or an answer. */
bool dicom_uid_is_valid(struct str uid);

/* Cuts the NUL or the blanks that pad a UI value. */
struct str dicom_uid_trim(struct str uid);

#endif
