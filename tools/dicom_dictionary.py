#!/usr/bin/env python3
"""Turns src/dicom/dictionary.txt into a C table sorted by tag. Usage: dicom_dictionary.py IN OUT"""
import re
import sys

rows = []
for number, line in enumerate(open(sys.argv[1], encoding="ascii"), 1):
    line = line.split("#")[0].strip()
    if not line:
        continue
    match = re.fullmatch(r"([0-9A-F]{8}) ([A-Z]{2}|xs|ox) ([A-Za-z][A-Za-z0-9]*)", line)
    if match is None:
        sys.exit(f"{sys.argv[1]}:{number}: not 'GGGGEEEE VR Keyword'")
    rows.append((int(match[1], 16), match[2], match[3]))
rows.sort()
for before, after in zip(rows, rows[1:]):
    if before[0] == after[0]:
        sys.exit(f"{sys.argv[1]}: {after[0]:08X} stands twice")
with open(sys.argv[2], "w", encoding="ascii") as out:
    out.write("/* Made from src/dicom/dictionary.txt by tools/dicom_dictionary.py. */\n")
    for tag, vr, keyword in rows:
        out.write(f"{{ 0x{tag:08X}u, DICOM_VR('{vr[0]}', '{vr[1]}'), \"{keyword}\" }},\n")
