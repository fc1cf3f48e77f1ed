#!/usr/bin/env python3
"""Puts a file into the program as it is, between the symbols NAME_start and NAME_end.   tools/embed_file.py NAME FILE OUTPUT.S"""
import sys
from pathlib import Path


def main():
    name, path, output = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3])
    output.write_text(f'''/* Made by tools/embed_file.py. */
.section .rodata
.global {name}_start
.global {name}_end
.balign 16
{name}_start:
.incbin "{path}"
{name}_end:
.byte 0
.section .note.GNU-stack,"",%progbits
''')


if __name__ == '__main__':
    main()
