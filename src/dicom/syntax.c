#include "dicom/syntax.h"

static const struct dicom_syntax syntaxes[] = {
    { DICOM_IMPLICIT_LE, "implicit little endian", DICOM_CODEC_NATIVE, false, false, false, false, NULL },
    { DICOM_EXPLICIT_LE, "explicit little endian", DICOM_CODEC_NATIVE, true, false, false, false, NULL },
    { DICOM_DEFLATED_LE, "deflated", DICOM_CODEC_NATIVE, true, false, true, false, NULL },
    { DICOM_EXPLICIT_BE, "explicit big endian", DICOM_CODEC_NATIVE, true, true, false, false, NULL },
#define ENCAPSULATED(uid, name, codec, media)                                                                \
    {                                                                                                        \
        uid, name, codec, true, false, false, true, media                                                    \
    }
    ENCAPSULATED("1.2.840.10008.1.2.4.50", "JPEG baseline", DICOM_CODEC_JPEG, "image/jpeg"),
    ENCAPSULATED("1.2.840.10008.1.2.4.51", "JPEG extended", DICOM_CODEC_JPEG, "image/jpeg"),
    ENCAPSULATED("1.2.840.10008.1.2.4.57", "JPEG lossless", DICOM_CODEC_JPEG_LOSSLESS, "image/jpeg"),
    ENCAPSULATED("1.2.840.10008.1.2.4.70", "JPEG lossless SV1", DICOM_CODEC_JPEG_LOSSLESS, "image/jpeg"),
    ENCAPSULATED(DICOM_JPEG_LS_LOSSLESS, "JPEG-LS lossless", DICOM_CODEC_JPEG_LS, "image/jls"),
    ENCAPSULATED("1.2.840.10008.1.2.4.81", "JPEG-LS near-lossless", DICOM_CODEC_JPEG_LS, "image/jls"),
    ENCAPSULATED("1.2.840.10008.1.2.4.90", "JPEG 2000 lossless", DICOM_CODEC_JPEG_2000, "image/jp2"),
    ENCAPSULATED("1.2.840.10008.1.2.4.91", "JPEG 2000", DICOM_CODEC_JPEG_2000, "image/jp2"),
    ENCAPSULATED("1.2.840.10008.1.2.5", "RLE", DICOM_CODEC_RLE, "image/dicom-rle"),
    ENCAPSULATED("1.2.840.10008.1.2.4.201", "HTJ2K lossless", DICOM_CODEC_OTHER, "image/jphc"),
    ENCAPSULATED("1.2.840.10008.1.2.4.202", "HTJ2K lossless RPCL", DICOM_CODEC_OTHER, "image/jphc"),
    ENCAPSULATED("1.2.840.10008.1.2.4.203", "HTJ2K", DICOM_CODEC_OTHER, "image/jphc"),
    ENCAPSULATED("1.2.840.10008.1.2.4.100", "MPEG2 main", DICOM_CODEC_OTHER, "video/mpeg"),
    ENCAPSULATED("1.2.840.10008.1.2.4.101", "MPEG2 high", DICOM_CODEC_OTHER, "video/mpeg"),
    ENCAPSULATED("1.2.840.10008.1.2.4.102", "MPEG-4 4.1", DICOM_CODEC_OTHER, "video/mp4"),
    ENCAPSULATED("1.2.840.10008.1.2.4.103", "MPEG-4 4.1 BD", DICOM_CODEC_OTHER, "video/mp4"),
    ENCAPSULATED("1.2.840.10008.1.2.4.107", "HEVC main", DICOM_CODEC_OTHER, "video/mp4"),
};
enum { SYNTAXES_COUNT = sizeof syntaxes / sizeof syntaxes[0] };

const struct dicom_syntax *dicom_syntax_at(size_t index)
{
    return index < SYNTAXES_COUNT ? &syntaxes[index] : NULL;
}

const struct dicom_syntax *dicom_syntax_find(struct str uid)
{
    uid = dicom_uid_trim(uid);
    for (size_t i = 0; i < SYNTAXES_COUNT; i++) {
        if (str_equal_cstr(uid, syntaxes[i].uid)) {
            return &syntaxes[i];
        }
    }
    return NULL;
}

struct str dicom_uid_trim(struct str uid)
{
    while (uid.len > 0 && (uid.at[uid.len - 1] == '\0' || uid.at[uid.len - 1] == ' ')) {
        uid.len--;
    }
    return uid;
}

bool dicom_uid_is_valid(struct str uid)
{
    bool after_dot =
        true; /* a component has at least one digit (PS3.5 9.1): never "..", nor a dot at an end */
    if (uid.len == 0 || uid.len > DICOM_UID_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < uid.len; i++) {
        bool is_digit = uid.at[i] >= '0' && uid.at[i] <= '9';
        if (!is_digit && (uid.at[i] != '.' || after_dot)) {
            return false;
        }
        after_dot = !is_digit;
    }
    return !after_dot;
}
