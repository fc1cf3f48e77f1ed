#!/usr/bin/env python3
"""Packs the screens (web/dist) into the program: one blob of gzip members and Brotli streams and a table of names.

Usage: generate_assets.py DIST TABLE.c BLOB.S BLOB.bin

FILE.br beside a file is its Brotli stream (web/vite.config.ts). Without DIST there is one page that says so. Outputs are only rewritten when they change, so that nothing is compiled or
linked again for nothing."""
import gzip
import hashlib
import pathlib
import re
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".ico": "image/x-icon",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".geojson": "application/json",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain; charset=utf-8",
}
# Vite's names: assets/NAME-HASH.ext with eight characters of hash.
HASHED = re.compile(r"^/assets/.*-[A-Za-z0-9_-]{8}\.[a-z0-9.]+$")
NO_SCREENS = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>山海 Shanhai</title></head>
<body><h1>山海 Shanhai</h1><p>界面尚未构建。 The screens were not built; the interfaces under /fhir answer.</p></body></html>
"""


def collect(dist):
    if not (dist / "index.html").is_file():
        return {"/index.html": NO_SCREENS.encode()}
    files = {}
    for path in sorted(dist.rglob("*")):
        if path.is_file() and path.suffix not in (".map", ".br"):
            files["/" + path.relative_to(dist).as_posix()] = path.read_bytes()
    return files


def brotli_of(dist, name, gzip_bytes):
    """Its Brotli stream where that is shorter than gzip."""
    path = dist / (name[1:] + ".br")
    stream = path.read_bytes() if path.is_file() else b""
    return stream if 0 < len(stream) < gzip_bytes else b""


def write_if_changed(path, content):
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def main():
    dist, table, assembly, blob = (pathlib.Path(argument) for argument in sys.argv[1:5])
    packed = bytearray()
    rows = []
    for name, content in sorted(collect(dist).items()):
        suffix = pathlib.PurePosixPath(name).suffix.lower()
        member = gzip.compress(content, 9, mtime=0)
        etag = hashlib.sha256(content).hexdigest()[:16]
        immutable = "true" if HASHED.match(name) else "false"
        media_type = TYPES.get(suffix, "application/octet-stream")
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        brotli = brotli_of(dist, name, len(member))
        places = f"{len(packed)}, {len(member)}, {len(packed) + len(member)}, {len(brotli)}, {len(content)}"
        rows.append(f'    {{ "{quoted}", "{media_type}", "\\"{etag}\\"", {places}, {immutable} }},')
        packed += member + brotli
    lines = ["/* Made by tools/generate_assets.py. Sorted by name. */", '#include "api/assets.h"', ""]
    lines += ["const struct asset asset_table[] = {", *rows, "};", f"const size_t asset_table_count = {len(rows)};", ""]
    lines += [f"const size_t asset_blob_bytes = {len(packed)};", ""]
    write_if_changed(blob, bytes(packed))
    write_if_changed(table, "\n".join(lines).encode())
    text = f"""/* Made by tools/generate_assets.py. {hashlib.sha256(packed).hexdigest()} */
    .section .rodata
    .global asset_blob
    .type asset_blob, @object
    .balign 16
asset_blob:
    .incbin "{blob.resolve()}"
    .byte 0
    .size asset_blob, . - asset_blob
    .section .note.GNU-stack,"",@progbits
"""
    write_if_changed(assembly, text.encode())


main()
