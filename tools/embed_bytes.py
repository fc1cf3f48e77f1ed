"""A file as a C array: embed_bytes.py INPUT OUTPUT NAME HEADER writes `const unsigned char NAME[]` and `const size_t NAME_len`,
declared in HEADER."""
import sys

source, target, name, header = sys.argv[1:5]
with open(source, 'rb') as file:
    content = file.read()
with open(target, 'w', encoding='ascii') as out:
    out.write(f'#include <stddef.h>\n\n#include "{header}"\n\nconst size_t {name}_len = {len(content)};\n')
    out.write(f'const unsigned char {name}[] = {{\n')
    for start in range(0, len(content), 24):
        out.write('    ' + ', '.join(str(byte) for byte in content[start:start + 24]) + ',\n')
    out.write('};\n')
