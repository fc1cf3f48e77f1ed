#!/usr/bin/env python3
"""Makes the constant C tables of src/model from definitions/r4.   tools/generate_model.py DEFINITIONS OUTPUT.c"""
import sys
from pathlib import Path


def rows(folder, name):
    return [line.split('\t') for line in (folder / name).read_text().splitlines()]


def text(value):
    """A struct str; an absent one has no bytes."""
    if value == '':
        return '{ NULL, 0 }'
    escaped = value.replace('\\', '\\\\').replace('"', '\\"')
    return '{ "%s", %d }' % (escaped, len(value.encode()))


class Writer:
    def __init__(self):
        self.lines = ['/* Made by tools/generate_model.py. */', '#include "model/model.h"', '#include "model/tables.h"', '']

    def array(self, kind, name, items, static=True):
        self.lines.append(f'{"static " if static else ""}const {kind} {name}[] = {{')
        self.lines.extend(f'    {item},' for item in items or ['{ 0 }'])
        self.lines.append('};')


def value_sets(writer, found, named):
    order = sorted(set(named))
    sets = []
    for number, url in enumerate(order):
        systems = [(system, codes.split(' ')) for set_url, system, codes in found if set_url == url]
        for position, (_, codes) in enumerate(systems):
            writer.array('struct str', f'codes_{number}_{position}', [text(c) for c in sorted(codes, key=lambda c: c.encode())])
        if systems:
            writer.array('struct model_codes', f'systems_{number}',
                         [f'{{ {text(s)}, codes_{number}_{p}, {len(c)} }}' for p, (s, c) in enumerate(systems)])
        sets.append(f'{{ {text(url)}, {f"systems_{number}" if systems else "NULL"}, {len(systems)} }}')
    writer.array('struct model_value_set', 'model_value_sets', sets, static=False)
    writer.lines.append(f'const size_t model_value_sets_count = {len(order)};')
    return {url: number for number, url in enumerate(order)}


def structures(writer, types, elements, set_numbers):
    order = sorted({t[0]: t for t in types}.values(), key=lambda t: t[0].encode())
    numbers = {t[0]: n for n, t in enumerate(order)}
    strength = {'': 'MODEL_BINDING_NONE', 'required': 'MODEL_BINDING_REQUIRED', 'extensible': 'MODEL_BINDING_EXTENSIBLE'}
    writer.lines.append('extern const struct model_type model_types[];')
    by_type = {}
    for row in elements:
        by_type.setdefault(row[0], []).append(row)
    for name, listed in by_type.items():
        items = []
        for _, element, choice, minimum, maximum, flags, kind, targets, how, url in listed:
            value_set = f'&model_value_sets[{set_numbers[url]}]' if url else 'NULL'
            items.append('{ %s, %s, &model_types[%d], %s, %s, %s, %s, %s, %s, %s }' % (
                text(element), text(choice), numbers[kind], text('' if targets == 'Resource' else targets), value_set, strength[how],
                minimum, 'false' if maximum in ('0', '1') else 'true', 'true' if 'S' in flags else 'false',
                'true' if 'M' in flags else 'false'))
        writer.array('struct model_element', f'elements_{numbers[name]}', items)
    items = []
    for name, kind, base in order:
        own = by_type.get(name, [])
        items.append('{ %s, %s, %s, %d, MODEL_%s }' % (
            text(name), f'&model_types[{numbers[base]}]' if base in numbers else 'NULL',
            f'elements_{numbers[name]}' if own else 'NULL', len(own), kind.upper()))
    writer.array('struct model_type', 'model_types', items, static=False)
    writer.lines.append(f'const size_t model_types_count = {len(order)};')
    resources = [numbers[n] for n, k, _ in order if k == 'resource' and n not in ('Resource', 'DomainResource')]
    writer.array('struct model_type *const', 'model_resource_list', [f'&model_types[{n}]' for n in resources], static=False)
    writer.lines.append(f'const size_t model_resource_list_count = {len(resources)};')


def search(writer, found):
    order = sorted(found, key=lambda r: (r[0].encode(), r[1].encode()))
    items = []
    for number, (kind, code, how, targets, expression, components) in enumerate(order):
        parts = [c.split('=', 1) for c in components.split('; ')] if components else []
        if parts:
            writer.array('struct model_component', f'components_{number}', [f'{{ {text(c)}, {text(e)} }}' for c, e in parts])
        items.append('{ %s, %s, %s, %s, %s, %d, MODEL_SEARCH_%s }' % (
            text(kind), text(code), text(targets), text(expression), f'components_{number}' if parts else 'NULL', len(parts),
            how.upper()))
    writer.array('struct model_search_parameter', 'model_search_parameters', items, static=False)
    writer.lines.append(f'const size_t model_search_parameters_count = {len(order)};')


def main():
    folder, output = Path(sys.argv[1]), Path(sys.argv[2])
    writer = Writer()
    elements = rows(folder, 'elements.tsv')
    set_numbers = value_sets(writer, rows(folder, 'value_sets.tsv'), [e[9] for e in elements if e[9]])
    structures(writer, rows(folder, 'types.tsv'), elements, set_numbers)
    search(writer, rows(folder, 'search.tsv') + rows(folder.parent, 'search.tsv'))  # the standard's, then our own
    compartments = sorted(rows(folder, 'compartments.tsv'))
    writer.array('struct model_compartment_row', 'model_compartments',
                 ['{ %s, %s, %s }' % tuple(map(text, row)) for row in compartments], static=False)
    writer.lines.append(f'const size_t model_compartments_count = {len(compartments)};')
    invariants = rows(folder, 'invariants.tsv')
    writer.array('struct model_invariant', 'model_invariant_list',
                 ['{ %s, %s }' % (', '.join(map(text, (path, key, human, expression))), 'true' if severity == 'warning' else 'false')
                  for _, path, key, severity, human, expression in invariants], static=False)
    writer.lines.append(f'const size_t model_invariant_list_count = {len(invariants)};')
    output.write_text('\n'.join(writer.lines) + '\n')


if __name__ == '__main__':
    main()
