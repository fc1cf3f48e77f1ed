/* dicomdir.h — the directory file of a CD (PS3.3 annex F), read only to know how many objects the CD should hold: its
 * order and paths are not needed. Any thread. */
#ifndef SHANHAI_DICOM_DICOMDIR_H
#define SHANHAI_DICOM_DICOMDIR_H

#include "dicom/dataset.h"

/* How many records name a stored object: all kinds but PATIENT, STUDY and SERIES. */
bool dicomdir_count(struct arena *arena, struct str bytes, size_t *count, struct error *error) MUST_CHECK;

#endif
