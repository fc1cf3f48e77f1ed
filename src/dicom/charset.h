/* charset.h — Specific Character Set (0008,0005) to UTF-8 (PS3.5 6.1, PS3.3 C.12.1.1.2): single sets,
 * GB18030, GBK, UTF-8, and ISO 2022 code extensions. Conversion by iconv. Any thread.
 *
 * Devices lie: GBK bytes under ISO_IR 100, UTF-8 under nothing at all. When the declared set cannot be
 * right (ill-formed UTF-8, high bytes in ASCII, C1 controls or lone Han pairs in Latin-1) UTF-8 is tried,
 * then the site's fallback, then GB18030, then Latin-1, which never fails. */
#ifndef SHANHAI_DICOM_CHARSET_H
#define SHANHAI_DICOM_CHARSET_H

#include "base/arena.h"
#include "base/str.h"

/* `bytes` as UTF-8 in the arena, or `bytes` itself when they are ASCII already; STR_NONE when memory ran out.
 * Control characters other than TAB, LF, FF and CR are dropped. */
struct str charset_to_utf8(struct arena *arena, struct str bytes, struct str declared, const char *fallback);

#endif
