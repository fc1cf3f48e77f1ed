/* charset_fuzz.c — the first byte chooses the declared character set, the rest is the text: what comes out is UTF-8. */
#include <assert.h>
#include <stdint.h>

#include "dicom/charset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RFC 3629 section 4, as far as lengths and continuation bytes go. */
static bool is_utf8(struct str text)
{
    for (size_t i = 0; i < text.len;) {
        unsigned char first = (unsigned char)text.at[i];
        size_t len = first < 0x80                    ? 1
                     : first >= 0xc2 && first < 0xe0 ? 2
                     : first >= 0xe0 && first < 0xf0 ? 3
                     : first >= 0xf0 && first < 0xf5 ? 4
                                                     : 0;
        if (len == 0 || len > text.len - i) {
            return false;
        }
        for (size_t k = 1; k < len; k++) {
            if (((unsigned char)text.at[i + k] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += len;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const sets[] = {
        "",           "ISO_IR 100",       "ISO_IR 192",       "GB18030",
        "GBK",        "\\ISO 2022 IR 58", "\\ISO 2022 IR 87", "\\ISO 2022 IR 149",
        "ISO_IR 144", "unheard of"
    };
    if (size < 1) {
        return 0;
    }
    struct arena arena = { .bytes_max = 8u << 20 };
    const char *declared = sets[data[0] % (sizeof sets / sizeof *sets)];
    const char *fallback = (data[0] & 0x80) != 0 ? "GB18030" : NULL;
    struct str text = charset_to_utf8(&arena, (struct str){ (const char *)data + 1, size - 1 },
                                      str_from_cstr(declared), fallback);
    assert(text.at == NULL || is_utf8(text));
    arena_deinit(&arena);
    return 0;
}
